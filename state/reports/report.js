(() => {
  const steps = [...document.querySelectorAll(".step")];
  if (!steps.length) return;
  const find = (id) => document.getElementById(id);
  const [range, told] = [find("range"), find("told")];
  const rows = [...document.querySelectorAll("[data-row]")];
  let at = steps.length - 1;
  const show = (number) => {
    at = Math.min(steps.length - 1, Math.max(0, number));
    steps.forEach((step, index) => (step.hidden = index !== at));
    rows.forEach((row) => row.classList.toggle("now", Number(row.dataset.row) === at));
    range.value = String(at);
    told.textContent = steps[at].dataset.label;
    range.setAttribute("aria-valuetext", steps[at].dataset.label);
  };
  const keys = {
    ArrowLeft: () => at - 1,
    ArrowRight: () => at + 1,
    PageUp: () => at - 10,
    PageDown: () => at + 10,
    Home: () => 0,
    End: () => steps.length - 1,
  };
  document.addEventListener("keydown", (event) => {
    if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    show(keys[event.key]());
  });
  range.addEventListener("input", () => show(Number(range.value)));
  find("back").addEventListener("click", () => show(at - 1));
  find("on").addEventListener("click", () => show(at + 1));
  document.addEventListener("click", ({ target }) => {
    const row = target.closest("[data-row]");
    if (row) show(Number(row.dataset.row));
  });
  find("controls").hidden = false;
  show(at);
})();
