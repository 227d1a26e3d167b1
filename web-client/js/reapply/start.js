// @ts-check
// Starts the replica's code, once for all rooms of a page.

import init from "./reapply_wasm.js";

const WASM = new URL("./reapply_wasm_bg.wasm", import.meta.url);

/** @type {ReturnType<typeof init> | undefined} */
let started;

/** Gives the code's exports, with its memory. A start that failed is tried again by whoever asks next. */
export function start() {
  started ??= init({ module_or_path: WASM });
  started.catch(() => (started = undefined));
  return started;
}
