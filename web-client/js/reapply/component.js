// @ts-check
// A machine in the page: the very component that the host runs, fetched by its digest and proved by it.

import { Instance, compile } from "./adapter.js";
import { digest as digestOf } from "./reapply_wasm.js";
import { messageOf } from "./runtime.js";
import { start } from "./start.js";

/**
 * @typedef {import("./adapter.js").Compiled} Compiled
 * @typedef {import("./adapter.js").Plan} Plan
 */

/** The machine cannot be run here, now or later. */
export class MachineError extends Error {}

/** Components that have been proved and compiled, by URL. @type {Map<string, Promise<[Plan, Compiled[]]>>} */
const compiled = new Map();

/**
 * Loads the build with this digest from the host at `base` and starts an instance of it. Rooms of one page share the compiled code.
 * @param {string} base
 * @param {string} digest
 * @returns {Promise<Component>}
 */
export async function load(base, digest) {
  const url = `${base}/components/${digest}`;
  let loading = compiled.get(url);
  if (!loading) {
    loading = fetchAndCompile(url, digest);
    compiled.set(url, loading);
    loading.catch(() => compiled.delete(url));
  }
  const [plan, modules] = await loading;
  const { memory } = await start();
  try {
    return new Component(plan, modules, memory);
  } catch (error) {
    throw new MachineError(`the machine ${digest} does not start here: ${messageOf(error)}`);
  }
}

/**
 * @param {string} url
 * @param {string} digest
 * @returns {Promise<[Plan, Compiled[]]>}
 */
async function fetchAndCompile(url, digest) {
  const [component, planned] = await Promise.all([fetched(`${url}.wasm`), fetched(`${url}.json`)]);
  const bytes = new Uint8Array(await component.arrayBuffer());
  const found = digestOf(bytes);
  if (found !== digest) {
    throw new MachineError(`the machine's bytes have digest ${found}, not ${digest}: it is not run`);
  }
  /** @type {Plan} */
  const plan = await planned.json();
  try {
    return [plan, await compile(plan, bytes)];
  } catch (error) {
    throw new MachineError(`this browser cannot run the machine ${digest}: ${messageOf(error)}`);
  }
}

/** @param {string} url */
async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(await whyNot(response));
  return response;
}

/** Why a request has failed, in the host's words where it has any. @param {Response} response */
export async function whyNot(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return `${response.url} answered ${response.status}`;
  }
}

/** A machine that was loaded, as the replica uses it. */
class Component {
  stateVersion;
  membership;
  #plan;
  #modules;
  #caller;

  /**
   * @param {Plan} plan
   * @param {Compiled[]} modules
   * @param {WebAssembly.Memory} caller
   */
  constructor(plan, modules, caller) {
    this.#plan = plan;
    this.#modules = modules;
    this.#caller = caller;
    /** What runs now. */
    this.instance = this.#started();
    const described = this.instance.describe();
    if (!described) throw new Error(this.instance.why);
    ({ stateVersion: this.stateVersion, membership: this.membership } = described);
  }

  /** Starts afresh after a fault. The replica cannot wait, so neither does this. */
  reset() {
    this.instance = this.#started();
  }

  #started() {
    return new Instance(this.#plan, this.#modules, this.#caller);
  }
}
