// A machine in the page: the same component that the host runs, fetched by its digest and checked against it.

import { Instance, compile } from "./adapter.js";
import type { Compiled, Plan } from "./adapter.js";
import { digest as digestOf } from "./reapply_wasm.js";
import { messageOf } from "./runtime.js";
import { start } from "./start.js";

/** The error of a machine that cannot run here, now or later. */
export class MachineError extends Error {}

/** Components that were checked and compiled, by URL. */
const compiled = new Map<string, Promise<[Plan, Compiled[]]>>();

/** Loads the build with this digest from the host at `base` and starts an instance of it. Rooms of one page share the compiled code. */
export async function load(base: string, digest: string): Promise<Component> {
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

async function fetchAndCompile(url: string, digest: string): Promise<[Plan, Compiled[]]> {
  const [component, planned] = await Promise.all([fetched(`${url}.wasm`), fetched(`${url}.json`)]);
  const bytes = new Uint8Array(await component.arrayBuffer());
  const found = digestOf(bytes);
  if (found !== digest) {
    throw new MachineError(`the machine's bytes have digest ${found}, not ${digest}: it is not run`);
  }
  const plan: Plan = await planned.json();
  try {
    return [plan, await compile(plan, bytes)];
  } catch (error) {
    throw new MachineError(`this browser cannot run the machine ${digest}: ${messageOf(error)}`);
  }
}

async function fetched(url: string): Promise<Response> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(await whyNot(response));
  return response;
}

/** Returns the reason why a request failed: the host's message, if there is one. */
export async function whyNot(response: Response): Promise<string> {
  try {
    const { error }: { error: { message: string } } = await response.json();
    return error.message;
  } catch {
    return `${response.url} answered ${response.status}`;
  }
}

/** A machine that was loaded, as the replica uses it. */
export class Component {
  readonly stateVersion: number;
  readonly membership: boolean;
  /** The running instance. */
  instance: Instance;
  readonly #plan: Plan;
  readonly #modules: Compiled[];
  readonly #caller: WebAssembly.Memory;

  constructor(plan: Plan, modules: Compiled[], caller: WebAssembly.Memory) {
    this.#plan = plan;
    this.#modules = modules;
    this.#caller = caller;
    this.instance = this.#started();
    const described = this.instance.describe();
    if (!described) throw new Error(this.instance.why);
    this.stateVersion = described.stateVersion;
    this.membership = described.membership;
  }

  /** Starts a new instance after a fault. The replica cannot wait, so this does not either. */
  reset(): void {
    this.instance = this.#started();
  }

  #started(): Instance {
    return new Instance(this.#plan, this.#modules, this.#caller);
  }
}
