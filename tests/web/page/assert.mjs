// For tests in a page: node's `assert` is not there.

export function equal(found, wanted, told = "") {
  if (!Object.is(found, wanted)) throw new Error(`${told} ${String(found)} is not ${String(wanted)}`);
}

export const same = (found, wanted) => equal(JSON.stringify(found), JSON.stringify(wanted));

/** An empty element in the page. */
export const host = () => document.body.appendChild(document.createElement("div"));

/** Names and errors of the tests that failed. */
export async function failures(tests) {
  const failed = [];
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test();
    } catch (error) {
      failed.push(`${name}: ${error.stack}`);
    }
    document.body.replaceChildren();
  }
  return failed;
}
