// Starts the replica's code, once for all rooms of a page.

import init from "./reapply_wasm.js";
import type { InitOutput } from "./reapply_wasm.js";
import type { Options } from "./types.js";

const WASM = new URL("./reapply_wasm_bg.wasm", import.meta.url);

/** The maximum waits before the code is requested again, in milliseconds: the first one, and all others. The driver's own are not available yet. */
const WAIT_MS = { first_ms: 250, max_ms: 15_000 };

let started: Promise<InitOutput> | undefined;

/** Returns the code's exports, with its memory. After a failed start, the next call tries again. */
export function start(): Promise<InitOutput> {
  started ??= init({ module_or_path: WASM });
  started.catch(() => (started = undefined));
  return started;
}

/**
 * Starts the code as soon as it is available: a host that restarts may have served the page, but not the code yet. `onfailure` is called when the
 * code could not be fetched. Then another attempt follows.
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
      // Code that was fetched and does not compile will not compile later either.
      if (error instanceof WebAssembly.CompileError || error instanceof WebAssembly.LinkError) throw error;
      onfailure(`the client's code could not be loaded: ${error instanceof Error ? error.message : error}`);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(longest_ms, max_ms)));
    }
  }
}
