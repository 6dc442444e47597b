// Loads every file of a repository with @huggingface/hub, and prints their digest: NAME REVISION FOLDER.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";

const { snapshotDownload } = createRequire(join(process.env.CLIENT_FOLDER, "package.json"))("@huggingface/hub");
const [name, revision] = process.argv.slice(2);
const folder = await snapshotDownload({
  repo: name,
  revision: revision || undefined,
  hubUrl: process.env.HF_ENDPOINT,
  accessToken: process.env.HF_TOKEN,
  cacheDir: join(process.env.HF_HOME, "hub"),
});
const sha256 = (body) => createHash("sha256").update(body).digest("hex");
const paths = readdirSync(folder, { recursive: true }).filter((path) => statSync(join(folder, path)).isFile());
const lines = paths
  .map((path) => [Buffer.from(path), `${path} ${sha256(readFileSync(join(folder, path)))}\n`])
  .sort((a, b) => Buffer.compare(a[0], b[0]))
  .map(([, line]) => line);
console.log("LOADED", sha256(lines.join("")));
