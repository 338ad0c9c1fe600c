// Looking for a step by halves.
import assert from "node:assert/strict";
import { test } from "node:test";
import { answered, begun, found, isOpen, nextStep, openSteps, questionsLeft } from "../../web/model/finding.js";

const upTo = (n) => Array.from({ length: n }, (_, index) => index + 1);

/** Ask until it is found; the step, and how many questions that took. */
function search(steps, first) {
  let [finding, questions] = [begun(steps), 0];
  while (found(finding) === null) {
    const step = nextStep(finding);
    finding = answered(finding, step, step >= first);
    questions += 1;
    assert.ok(questions <= steps.length);
  }
  return { step: found(finding), questions };
}

test("whatever the step, it is found with as many questions as the logarithm says", () => {
  for (const n of [1, 2, 3, 7, 8, 20, 33])
    for (const first of upTo(n)) {
      const { step, questions } = search(upTo(n), first);
      assert.equal(step, first);
      assert.ok(questions <= Math.ceil(Math.log2(n)), `${questions} for ${first} of ${n}`);
    }
});

test("steps that are not in a row are found too", () => {
  const steps = [2, 3, 7, 11];
  for (const first of steps) assert.equal(search(steps, first).step, first);
  assert.equal(found(begun([])), null);
  assert.equal(nextStep(begun([])), null);
});

test("any open step can be answered, and a settled one changes nothing", () => {
  const first = answered(begun(upTo(10)), 8, true);
  assert.deepEqual([first.low, first.high, openSteps(first)], [-1, 7, [1, 7]]);
  const second = answered(first, 3, false);
  assert.deepEqual(openSteps(second), [4, 7]);
  for (const step of [1, 3, 8, 10, 99]) {
    assert.ok(!isOpen(second, step));
    assert.equal(answered(second, step, true), second);
  }
  assert.deepEqual([questionsLeft(begun(upTo(8))), questionsLeft(second)], [3, 3]);
});

test("an answer can be taken back", () => {
  const start = begun(upTo(10));
  assert.equal(answered(start, 5, true).before, start);
  assert.equal(start.before, null);
});
