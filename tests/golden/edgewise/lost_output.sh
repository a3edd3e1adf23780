# What can't be printed is a failure: on a full disk, and where stdout is closed.
for command in "--help" "--version" "run --help" "pcr --quality .9 --responsiveness .5 --cost-cents 1" \
    "doctor --json" "pull --list --json"; do
    edgewise $command >/dev/full
    echo "$command: $?" >>statuses
    edgewise $command >&-
    echo "$command: $?" >>statuses
done
# Where files may not grow, neither can the complaint be written; the signal must not end us.
(ulimit -f 0 && edgewise --help >file)
echo "ulimit -f: $?" >>statuses
cat statuses
