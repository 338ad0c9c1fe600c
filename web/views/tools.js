// What every view is given besides the model, as a type.
/** @import { Action } from "../model/action_types.js" */
/** @import { Actions } from "../server/actions.js" */
/** @import { Translate } from "../ui/i18n.js" */

/**
 * @typedef {{
 *   t: Translate, actions: Actions, dispatch: (action: Action) => void, url: (url: string) => string,
 *   latentUrl: (id: string) => string, csvUrl: (id: string) => string, sheetUrl: (id: string) => string,
 *   bundleUrl: (id: string) => string, reportUrl: (id: string) => string, ledgerUrl: () => string,
 * }} Tools  url: as the page has to ask for a URL that the server gave
 */

export {};
