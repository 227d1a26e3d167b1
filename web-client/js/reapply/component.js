// @ts-check
// A machine in the page: the very component that the host runs, fetched by its digest and proved by it.
//
// Browsers run core modules only. What is around them in a component comes as an ES module from the host, made when the machine was
// deployed; it holds no code of the machine, and says where in the component the core modules lie.

import { digest as digestOf } from "./reapply_wasm.js";

/** The inputs of an event, by the numbers that the replica calls them. */
const TRANSITION = 0;
const ALARM = 1;
const JOINED = 2;

/** The machine cannot be run here, now or later. */
export class MachineError extends Error {}

/**
 * A component that has been proved and compiled.
 * @typedef {{ instantiate: Function, modules: Map<string, WebAssembly.Module> }} Compiled
 */

/** @type {Map<string, Promise<Compiled>>} */
const compiled = new Map();

/** How often a load was tried in vain: browsers remember a module that failed to load, by its URL. */
let failures = 0;

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
    loading.catch(() => {
      failures += 1;
      compiled.delete(url);
    });
  }
  const { instantiate, modules } = await loading;
  try {
    return new Component(instantiate, modules, await instantiate((/** @type {string} */ name) => modules.get(name), {}));
  } catch (error) {
    throw new MachineError(`the machine ${digest} does not start here: ${messageOf(error)}`);
  }
}

/**
 * @param {string} url
 * @param {string} digest
 * @returns {Promise<Compiled>}
 */
async function fetchAndCompile(url, digest) {
  const [bytes, glue] = await Promise.all([
    fetchBytes(`${url}.wasm`),
    import(failures ? `${url}.js?again=${failures}` : `${url}.js`),
  ]);
  const found = digestOf(bytes);
  if (found !== digest) {
    throw new MachineError(`the machine's bytes have digest ${found}, not ${digest}: it is not run`);
  }
  try {
    const modules = await Promise.all(
      glue.coreModules.map(async (/** @type {[string, number, number]} */ [name, offset, length]) => {
        return [name, await WebAssembly.compile(bytes.subarray(offset, offset + length))];
      }),
    );
    return { instantiate: glue.instantiate, modules: new Map(modules) };
  } catch (error) {
    throw new MachineError(`this browser cannot run the machine ${digest}: ${messageOf(error)}`);
  }
}

/** @param {string} url */
async function fetchBytes(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * One instance, as the replica uses it. A machine's own "no" is thrown as an error with a `payload`; any other error is a fault.
 */
class Component {
  stateVersion = 0;
  membership = false;
  #instantiate;
  #modules;
  #machine;

  /**
   * @param {Function} instantiate
   * @param {Map<string, WebAssembly.Module>} modules
   * @param {any} instance
   */
  constructor(instantiate, modules, instance) {
    this.#instantiate = instantiate;
    this.#modules = modules;
    this.#machine = instance.machine;
    this.#describe();
  }

  #describe() {
    const { State, describe } = this.#machine;
    // The module's own way to free a state stands under a symbol; the replica calls methods by their names.
    const dispose = Symbol.dispose ?? Symbol.for("dispose");
    State.prototype.dispose = function () {
      this[dispose]();
    };
    ({ stateVersion: this.stateVersion, membership: this.membership } = describe());
  }

  /** @param {string} options */
  create(options) {
    return this.#machine.State.create(options);
  }

  /**
   * @param {Uint8Array} snapshot
   * @param {number} stateVersion
   */
  restore(snapshot, stateVersion) {
    return this.#machine.State.restore(snapshot, stateVersion);
  }

  /**
   * @param {any} state
   * @param {bigint} seq
   * @param {bigint} time
   * @param {bigint} entropy
   * @param {number} kind
   * @param {string} author
   * @param {Uint8Array} transition
   */
  apply(state, seq, time, entropy, kind, author, transition) {
    const input =
      kind === TRANSITION ? { tag: "transition", val: { author, transition } }
      : kind === ALARM ? { tag: "alarm", val: transition }
      : { tag: kind === JOINED ? "joined" : "left", val: author };
    return state.apply({ seq, time, entropy, input });
  }

  /** @param {string} json */
  encode(json) {
    return this.#machine.encode(json);
  }

  /** @param {Uint8Array} transition */
  decode(transition) {
    return this.#machine.decode(transition);
  }

  /** Starts afresh after a fault. The replica cannot wait, so neither does this. */
  reset() {
    const instantiateNow = (/** @type {WebAssembly.Module} */ module, /** @type {WebAssembly.Imports} */ imports) =>
      new WebAssembly.Instance(module, imports);
    const instance = this.#instantiate((/** @type {string} */ name) => this.#modules.get(name), {}, instantiateNow);
    this.#machine = instance.machine;
    this.#describe();
  }
}
