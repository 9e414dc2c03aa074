// Runs programs one after the other in one process, so that what they import is loaded once: `node programs.mjs FILE…`.
// On standard output is a JSON object of what each file printed and raised.

import { pathToFileURL } from "node:url";

const outputs = {};
const told = console.log;
for (const file of process.argv.slice(2)) {
  const printed = [];
  let failure = "";
  console.log = (...words) => printed.push(words.join(" "));
  try {
    await import(pathToFileURL(file));
  } catch (error) {
    failure = error.stack + "\n" + JSON.stringify(error);
  }
  outputs[file] = [printed.map((line) => line + "\n").join(""), failure];
}
told(JSON.stringify(outputs));
