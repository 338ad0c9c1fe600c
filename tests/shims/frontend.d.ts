// ComfyUI's own modules, which web/index.js imports by the paths that they are served at.
declare module "*/scripts/app.js" {
  export const app: any;
}
declare module "*/scripts/api.js" {
  export const api: any;
}
