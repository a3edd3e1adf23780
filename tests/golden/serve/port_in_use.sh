. $REPO/tests/support/golden_model.sh
python3 -c '
import socket, subprocess
taken = socket.create_server(("127.0.0.1", 0))
port = str(taken.getsockname()[1])
run = subprocess.run(["edgewise", "serve", "smollm2-135m", "--port", port, "--ledger", "none"],
                     capture_output=True, text=True, timeout=60)
print(run.returncode, (run.stdout + run.stderr).replace(port, "PORT"), end="")'
