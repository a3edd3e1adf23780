#!/bin/bash
# test_peers_front.sh - the stub and the load generator of tools/peers_front.py: what the one sends
# the other counts, and what goes wrong between them is told.
cd "$(dirname "$0")/../.." || exit 1
stub=build/tools/peers_stub load=build/tools/peers_load
dir=$(mktemp -d)
trap 'kill $jobs 2>/dev/null; wait; rm -rf "$dir"' EXIT
passed=0 failed=0 jobs=

expect() { # SENTENCE PYTHON-EXPRESSION, of what "$dir/out" has as JSON
    if python3 -c 'import json, sys
r = json.load(open(sys.argv[1]))
assert eval(f"({sys.argv[2]})")' "$dir/out" "$2" 2>"$dir/why"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "not so: $1: $(cat "$dir/out")"
    fi
}
free_port() {
    python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}
answers() { # PORT
    for _ in $(seq 100); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep .1
    done
}

port=$(free_port)
$stub "$port" &
jobs=$!
# Answers whatever it is asked with a failure, as a front does that can't reach the stub.
broken=$(free_port)
python3 -c 'import http.server, sys
class Broken(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_error(502)
    def log_message(self, *args):
        pass
    def handle(self):
        try:
            super().handle()
        except ConnectionResetError:
            pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Broken).serve_forever()' "$broken" &
jobs="$jobs $!"
# Passes on all but the third chunk and what follows it.
cutting=$(free_port)
python3 -c 'import socketserver, socket, sys
class Cutting(socketserver.BaseRequestHandler):
    def handle(self):
        there = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
        there.sendall(self.request.recv(65536))
        data = b""
        while data.count(b"@") < 3:
            data += there.recv(65536)
        self.request.sendall(b"@".join(data.split(b"@")[:3]))
socketserver.ThreadingTCPServer(("127.0.0.1", int(sys.argv[1])), Cutting).serve_forever()' \
    "$cutting" "$port" &
jobs="$jobs $!"
answers "$port" && answers "$broken" && answers "$cutting"

python3 -c 'import json, sys, urllib.request
body = json.dumps({"messages": [{"role": "user", "content": "?"}]}).encode()
url = "http://127.0.0.1:" + sys.argv[1] + "/v1/"
print(urllib.request.urlopen(url + "chat/completions", body).read().decode())' "$port" >"$dir/out"
expect "an answer is a completion of 330 bytes" 'len(open(sys.argv[1]).read()) == 331 and
    r["usage"]["total_tokens"] == 40 and r["choices"][0]["message"]["content"]'
python3 -c 'import sys, urllib.request
print(urllib.request.urlopen("http://127.0.0.1:" + sys.argv[1] + "/v1/models").read().decode())' \
    "$port" >"$dir/out"
expect "it names its model" 'r["data"][0]["id"] == "stub"'

$load latency 50 "$port" "$port" >"$dir/out"
expect "latencies are as many as were asked for" 'r["errors"] == 0 and r[str('"$port"')]["n"] == 50'
$load latency 5 "$broken" >"$dir/out"
expect "answers that aren't 200 are errors" 'r["errors"] == 205 and r["'"$broken"'"] is None'
$load streams "$port" 20 10 50 0 >"$dir/out"
expect "each chunk of each stream arrives" 'r["errors"] == 0 and r["chunks"] == 200 and
    r["delay"]["n"] == 200 and r["late"]["n"] == 200'
expect "they come at the pace that was asked for" '0.17 < r["seconds"] < 20'
expect "a chunk isn't received before it was sent, nor sent before it was due" \
    '0 < r["delay"]["p50"] <= r["late"]["p50"] < 1e10'
$load streams "$port" 3 5000 0 0 >"$dir/out"
expect "streams without a pace are whole, too" 'r["errors"] == 0 and r["chunks"] == 15000'
$load streams "$cutting" 4 10 100 0 >"$dir/out"
expect "streams that break off are errors" 'r["errors"] == 4 and r["chunks"] == 8'
$load streams "$broken" 2 10 100 0 >"$dir/out"
expect "streams that are refused are errors" 'r["errors"] == 2 and r["delay"] is None'
$load idle "$port" 30 </dev/null >"$dir/out"
expect "connections that stay have been answered" 'r == {"errors": 0, "connections": 30}'
$load slow "$port" 3 1000 </dev/null >"$dir/out"
expect "slow readers begin" 'r["connections"] == 3'

echo "$passed passed, $failed failed"
[ $failed = 0 ]
