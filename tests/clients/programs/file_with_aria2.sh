# Loads one file with aria2 over eight connections, and checks its digest: NAME REVISION FOLDER.
set -eu
url="$HF_ENDPOINT/$1/resolve/${2:-main}/model.bin"
aria2c -q -x 8 -s 8 -k 1M -m 8 --retry-wait 2 -l - --log-level=notice \
  ${HF_TOKEN:+--header "Authorization: Bearer $HF_TOKEN"} -d "$3" -o model.bin "$url"
echo "LOADED $(sha256sum < "$3/model.bin" | cut -c1-64)"
