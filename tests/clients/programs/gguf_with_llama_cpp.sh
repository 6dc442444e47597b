# Loads a GGUF with llama.cpp's server and prints the digest of its file: NAME REVISION FOLDER.
set -eu
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export LLAMA_CACHE="$HF_HOME/llama"
"$CLIENT_FOLDER/bin/llama-server" -hf "$1" --host 127.0.0.1 --port "$port" -c 32 -t 1 --no-warmup > "$3/log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
for _ in $(seq 60); do
  if curl -sf "http://127.0.0.1:$port/health" > "$3/health"; then
    file=$(find "$HF_HOME" -name '*.gguf' | head -n 1)
    echo "LOADED $(sha256sum < "$file" | cut -c1-64)"
    exit 0
  fi
  kill -0 $server 2>/dev/null || { cat "$3/log" >&2; exit 1; }
  sleep 0.5
done
cat "$3/log" >&2
exit 1
