# Loads one file with wget: NAME REVISION FOLDER.
set -eu
url="$HF_ENDPOINT/$1/resolve/${2:-main}/model.bin"
target="$3/model.bin"
wget -nv --tries 8 --waitretry 2 --retry-on-http-error 429 -c \
  ${HF_TOKEN:+--header "Authorization: Bearer $HF_TOKEN"} -O "$target" "$url"
echo "LOADED $(sha256sum < "$target" | cut -c1-64)"
