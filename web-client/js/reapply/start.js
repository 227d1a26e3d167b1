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

/**
 * Starts the code as soon as it can be had: a host that is being restarted may have served the page, and not that.
 * @param {() => boolean} isWanted
 * @param {import("./connection.js").Backoff} backoff
 * @param {(why: string) => void} onfailure called when it could not be fetched; it is tried again
 */
export async function startWhile(isWanted, backoff, onfailure) {
  while (isWanted()) {
    try {
      return await start();
    } catch (error) {
      // Code that is here and does not compile will not do so later.
      if (error instanceof WebAssembly.CompileError || error instanceof WebAssembly.LinkError) throw error;
      onfailure(`the client's code could not be loaded: ${error instanceof Error ? error.message : error}`);
      await new Promise((resolve) => setTimeout(resolve, backoff.next()));
    }
  }
}
