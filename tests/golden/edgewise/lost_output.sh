# What can't be printed is a failure: on a full disk, and where stdout is closed.
for command in "--help" "--version" "run --help" "pcr --quality .9 --responsiveness .5 --cost-cents 1" \
    "doctor --json" "pull --list --json"; do
    edgewise $command >/dev/full
    echo "$command: $?" >>statuses
    edgewise $command >&-
    echo "$command: $?" >>statuses
done
cat statuses
