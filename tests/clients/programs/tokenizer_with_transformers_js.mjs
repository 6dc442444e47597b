// Loads a tokenizer and a configuration with Transformers.js, and prints the model's mark: NAME REVISION FOLDER.
import { createRequire } from "node:module";
import { join } from "node:path";

const { AutoTokenizer, AutoConfig, env } = createRequire(join(process.env.CLIENT_FOLDER, "package.json"))("@huggingface/transformers");
env.remoteHost = `${process.env.HF_ENDPOINT}/`;
env.cacheDir = join(process.env.HF_HOME, "js");
const [name, revision] = process.argv.slice(2);
const options = { revision: revision || "main" };
const tokenizer = await AutoTokenizer.from_pretrained(name, options);
const ids = tokenizer.encode("a b");
if (ids.join() !== "1,2") throw new Error(`other tokens: ${ids}`);
const config = await AutoConfig.from_pretrained(name, options);
console.log("LOADED", config.mark);
