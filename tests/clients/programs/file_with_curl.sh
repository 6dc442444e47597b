# Loads one file with curl, which waits and goes on by itself: NAME REVISION FOLDER.
set -eu
url="$HF_ENDPOINT/$1/resolve/${2:-main}/model.bin"
set -- "$3/model.bin" ${HF_TOKEN:+-H "Authorization: Bearer $HF_TOKEN"}
target="$1"; shift
curl -sS --fail-with-body -L --retry 8 -C - "$@" -o "$target" "$url" || { status=$?; cat "$target" >&2; exit $status; }
echo "LOADED $(sha256sum < "$target" | cut -c1-64)"
