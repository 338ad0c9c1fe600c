// What ComfyUI's settings tell of Midrun on their page "About". Data and one pure function.

export const VERSION = "1.0.0"; // of pyproject.toml, which a test holds it to
const REPOSITORY = ""; // once it can be opened by anybody: no badge leads to what is not there

/**
 * @param {string} here URL of index.js @param {string} [repository]
 * @returns {{ label: string, url: string, icon: string }[]} no URL twice
 */
export function aboutBadges(here, repository = REPOSITORY) {
  const help = { label: `Midrun v${VERSION}`, url: new URL("./docs/MidrunKSampler.md", here).href, icon: "pi pi-book" };
  if (!repository) return [help];
  return [
    help,
    { label: "Midrun documentation", url: `${repository}/blob/main/docs/tour.md`, icon: "pi pi-book" },
    { label: "Midrun issues", url: `${repository}/issues`, icon: "pi pi-github" },
  ];
}
