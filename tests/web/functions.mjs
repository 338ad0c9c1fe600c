// How long each function is: `node functions.mjs path/to/typescript.js script.js ...` tells it as JSON. Lines of a
// function that is written within another count for that one alone.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [typescript, ...paths] = process.argv.slice(2);
const { default: ts } = await import(pathToFileURL(typescript).href);

/** @param {string} path */
function functionsOf(path) {
  const source = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true);
  const lineAt = (position) => source.getLineAndCharacterOfPosition(position).line;
  const found = [];

  /** Notes the functions below a node, and answers with the lines that are theirs. */
  function visit(node) {
    const within = new Set();
    ts.forEachChild(node, (child) => visit(child).forEach((line) => within.add(line)));
    if (!ts.isFunctionLike(node) || !node.body) return within;
    const [first, last] = [lineAt(node.getStart(source)), lineAt(node.end)];
    const lines = Array.from({ length: last - first + 1 }, (_, at) => first + at);
    const own = lines.filter((line) => line === first || line === last || !within.has(line));
    found.push({ path, line: first + 1, lines: own.length });
    return new Set([...within, ...lines]);
  }

  visit(source);
  return found;
}

console.log(JSON.stringify(paths.flatMap(functionsOf)));
