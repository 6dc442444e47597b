# Loads one file with axel over four connections, and checks its digest: NAME REVISION FOLDER.
set -eu
url="$HF_ENDPOINT/$1/resolve/${2:-main}/model.bin"
axel -q -n 4 ${HF_TOKEN:+-H "Authorization: Bearer $HF_TOKEN"} -o "$3/model.bin" "$url"
echo "LOADED $(sha256sum < "$3/model.bin" | cut -c1-64)"
