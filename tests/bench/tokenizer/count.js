// node count.js ENCODING FILE: how many tokens each text of a JSON array has, as a JSON array.

import { readFileSync } from "node:fs";

const [encoding, file] = process.argv.slice(2);
const { countTokens } = await import(`gpt-tokenizer/encoding/${encoding}`);
const texts = JSON.parse(readFileSync(file, "utf8"));
// What looks like a special token is plain text here, as it is in what a tool answers.
console.log(JSON.stringify(texts.map((text) => countTokens(text, { disallowedSpecial: new Set() }))));
