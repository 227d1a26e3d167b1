// Starts the replica's code, once for all rooms of a page.

import init from "./reapply_wasm.js";
import type { InitOutput } from "./reapply_wasm.js";
import type { Options } from "./types.js";

const WASM = new URL("./reapply_wasm_bg.wasm", import.meta.url);

/** The longest waits before the code is asked for again, in milliseconds: the first one, and all. It is the driver's code that knows of better ones. */
const WAIT_MS = { first_ms: 250, max_ms: 15_000 };

let started: Promise<InitOutput> | undefined;

/** Gives the code's exports, with its memory. A start that failed is tried again by whoever asks next. */
export function start(): Promise<InitOutput> {
  started ??= init({ module_or_path: WASM });
  started.catch(() => (started = undefined));
  return started;
}

/**
 * Starts the code as soon as it can be had: a host that is being restarted may have served the page, and not that. `onfailure` is called when the
 * code could not be fetched; it is tried again.
 */
export async function startWhile(
  isWanted: () => boolean,
  backoff: Options["backoff"],
  onfailure: (why: string) => void,
): Promise<void> {
  const { first_ms, max_ms } = { ...WAIT_MS, ...backoff };
  for (let longest_ms = first_ms; isWanted(); longest_ms *= 2) {
    try {
      await start();
      return;
    } catch (error) {
      // Code that is here and does not compile will not do so later.
      if (error instanceof WebAssembly.CompileError || error instanceof WebAssembly.LinkError) throw error;
      onfailure(`the client's code could not be loaded: ${error instanceof Error ? error.message : error}`);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(longest_ms, max_ms)));
    }
  }
}
