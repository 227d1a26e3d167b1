// Runs the core modules of a component: the fixed adapter for the contract, wit/machine.wit.
//
// The host's plan says in numbers how the modules are linked. Nothing else in the component decides what runs here, and none of its text is ever
// run as code. Values are passed in the layout of the canonical ABI. States are the numbers by which the machine itself knows them.

/** An instance and one of its exports. */
export type Place = [instance: number, index: number];

export interface Plan {
  /** Offset and length of each core module. */
  modules: [offset: number, length: number][];
  instances: { module: number; imports: (number | Place)[] }[];
  memory: Place;
  realloc: Place;
  destructor: Place | null;
  functions: { call: Place; post_return: Place | null }[];
}

/** A core module, with the names of what it imports and exports, in order. */
export interface Compiled {
  module: WebAssembly.Module;
  imports: WebAssembly.ModuleImportDescriptor[];
  exports: string[];
}

/** A machine's description of itself. */
export interface Described {
  stateVersion: number;
  membership: boolean;
}

/** A function of a core module. If it returns something, that is a number: a value or its place. */
type Call = (...parameters: (number | bigint)[]) => number;

/** The results of a call instead of a state. A state is never negative. */
const REFUSED = -1;
const FAULTED = -2;

/** A list up to this length is copied byte by byte, which is quicker than a view of it. */
const SHORT_BYTES_MAX = 64;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Compiles the core modules of a component. */
export function compile(plan: Plan, component: Uint8Array<ArrayBuffer>): Promise<Compiled[]> {
  return Promise.all(
    plan.modules.map(async ([offset, length]) => {
      const module = await WebAssembly.compile(component.subarray(offset, offset + length));
      const imports = WebAssembly.Module.imports(module);
      return { module, imports, exports: WebAssembly.Module.exports(module).map(({ name }) => name) };
    }),
  );
}

/**
 * One running machine. After a fault every call fails with that fault. No method throws.
 *
 * Arguments are places in the caller's memory, from which bytes are copied at once. Further results of a call are in the fields until the next call.
 */
export class Instance {
  /** The reason why the last call was refused, or its fault. */
  why = "";
  /** The case of the last rejection: 0 is malformed, 1 a conflict. */
  refusal = 0;
  /** Whether the machine has faulted. */
  isBroken = false;
  /** The alarm that was read last. */
  alarmAt = 0n;
  alarmTransition: Uint8Array<ArrayBuffer> = new Uint8Array();

  readonly #memory: WebAssembly.Memory;
  #realloc: Call;
  #destructor: Call | undefined;
  #bytes = new Uint8Array();
  #words = new Uint32Array();
  /** The caller's memory, which holds the arguments of calls. */
  readonly #caller: WebAssembly.Memory;
  #callerBytes = new Uint8Array();
  /** The contract's functions, in the plan's order, and the function to call after each. */
  #calls: Call[];
  readonly #afters: (Call | undefined)[];
  /** The number of the state behind each handle that the machine holds; -1 for a free handle. */
  readonly #states = [-1];
  readonly #free: number[] = [];

  /** Starts the machine. */
  constructor(plan: Plan, modules: Compiled[], caller: WebAssembly.Memory) {
    this.#caller = caller;
    const started: WebAssembly.Instance[] = [];
    const at = ([instance, index]: Place): WebAssembly.ExportValue =>
      started[instance]!.exports[modules[plan.instances[instance]!.module]!.exports[index]!]!;
    const callAt = (place: Place) => at(place) as Call;
    const builtIns = [
      (state: number) => this.#hold(state),
      (handle: number) => this.#stateOf(handle),
      (handle: number) => this.#destructor?.(this.#take(handle)),
    ];
    for (const { module: index, imports: sources } of plan.instances) {
      const { module, imports } = modules[index]!;
      const given: WebAssembly.Imports = Object.create(null);
      imports.forEach(({ module: from, name }, index) => {
        const source = sources[index]!;
        const value = typeof source === "number" ? builtIns[source]! : at(source);
        (given[from] ??= Object.create(null) as WebAssembly.ModuleImports)[name] = value;
      });
      started.push(new WebAssembly.Instance(module, given));
    }
    this.#memory = at(plan.memory) as WebAssembly.Memory;
    this.#realloc = callAt(plan.realloc);
    this.#destructor = plan.destructor ? callAt(plan.destructor) : undefined;
    this.#calls = plan.functions.map(({ call }) => callAt(call));
    this.#afters = plan.functions.map(({ post_return: after }) => (after ? callAt(after) : undefined));
  }

  /** Returns the machine's description of itself; `undefined` if it faults. */
  describe(): Described | undefined {
    try {
      const result = this.#result(this.#calls[0]!(), 24);
      const described = { stateVersion: this.#words[(result >> 2) + 2]!, membership: this.#bytes[result + 12] !== 0 };
      this.#afters[0]?.(result);
      return described;
    } catch (error) {
      return void this.#fail(error);
    }
  }

  /** Returns a transition's bytes from its JSON; `undefined` if the JSON is refused or the machine faults. */
  encode(json: string): Uint8Array<ArrayBuffer> | undefined {
    try {
      const text = encoder.encode(json);
      return this.#either(1, this.#calls[1]!(this.#lower(text, 0, text.length), text.length), copied);
    } catch (error) {
      return void this.#fail(error);
    }
  }

  /** Returns a transition as JSON; `undefined` if the bytes are refused or the machine faults. */
  decode(from: number, length: number): string | undefined {
    try {
      return this.#either(2, this.#calls[2]!(this.#lower(this.#given(), from, length), length), decoded);
    } catch (error) {
      return void this.#fail(error);
    }
  }

  create(from: number, length: number): number {
    try {
      return this.#state(3, this.#calls[3]!(this.#lower(this.#given(), from, length), length), 12);
    } catch (error) {
      return this.#fail(error);
    }
  }

  restore(from: number, length: number, stateVersion: number): number {
    try {
      return this.#state(4, this.#calls[4]!(this.#lower(this.#given(), from, length), length, stateVersion), 12);
    } catch (error) {
      return this.#fail(error);
    }
  }

  /** Applies an event. `kind` is the input's case. Only the first one, a transition, has two parts: its author and its bytes. */
  apply(
    state: number,
    seq: bigint,
    time: bigint,
    entropy: bigint,
    kind: number,
    from: number,
    length: number,
    from2: number,
    length2: number,
  ): number {
    try {
      const part = this.#lower(this.#given(), from, length);
      const part2 = kind === 0 ? this.#lower(this.#given(), from2, length2) : 0;
      return this.#state(5, this.#calls[5]!(state, seq, time, entropy, kind, part, length, part2, length2), 16);
    } catch (error) {
      return this.#fail(error);
    }
  }

  snapshot(state: number): Uint8Array<ArrayBuffer> | undefined {
    try {
      const result = this.#result(this.#calls[6]!(state), 8);
      const snapshot = copied(this.#list(result));
      this.#afters[6]?.(result);
      return snapshot;
    } catch (error) {
      return void this.#fail(error);
    }
  }

  /** Returns 1 if the state has an alarm, which is then in the fields; otherwise 0. */
  alarm(state: number): number {
    try {
      const result = this.#result(this.#calls[7]!(state), 24, 8);
      const has = this.#case(result);
      if (has === 1) {
        this.alarmAt = (BigInt(this.#words[(result >> 2) + 3]!) << 32n) | BigInt(this.#words[(result >> 2) + 2]!);
        this.alarmTransition = copied(this.#list(result + 16));
      }
      this.#afters[7]?.(result);
      return has;
    } catch (error) {
      return this.#fail(error);
    }
  }

  view(state: number): string | undefined {
    try {
      const result = this.#result(this.#calls[8]!(state), 8);
      const view = decoded(this.#list(result));
      this.#afters[8]?.(result);
      return view;
    } catch (error) {
      return void this.#fail(error);
    }
  }

  /** Frees a state. */
  dispose(state: number): void {
    try {
      this.#destructor?.(state);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Returns the caller's memory as it is now. */
  #given(): Uint8Array {
    if (this.#callerBytes.length === 0) this.#callerBytes = new Uint8Array(this.#caller.buffer);
    return this.#callerBytes;
  }

  /** Copies bytes into the machine's memory. */
  #lower(source: Uint8Array, from: number, length: number): number {
    const to = this.#realloc(0, 0, 1, length) >>> 0;
    const bytes = this.#current();
    if (to + length > bytes.length) throw new RangeError("`realloc` answered with a place outside of the memory");
    if (length > SHORT_BYTES_MAX) bytes.set(source.subarray(from, from + length), to);
    else for (let index = 0; index < length; index += 1) bytes[to + index] = source[from + index]!;
    return to;
  }

  /** Returns the machine's memory as it is now. When the memory grows, earlier views of it become empty. */
  #current(): Uint8Array {
    if (this.#bytes.length === 0) {
      this.#bytes = new Uint8Array(this.#memory.buffer);
      this.#words = new Uint32Array(this.#memory.buffer);
    }
    return this.#bytes;
  }

  /** Returns the place of a function's result of `size` bytes, which must lie within the memory. */
  #result(place: number, size: number, alignment = 4): number {
    const at = place >>> 0;
    if (at % alignment !== 0 || at + size > this.#current().length) throw new RangeError("a result lies outside of the memory");
    return at;
  }

  /** Returns the bytes of a list whose place and length are stored at `at`. */
  #list(at: number): Uint8Array {
    const place = this.#words[at >> 2]!;
    const end = place + this.#words[(at >> 2) + 1]!;
    if (end > this.#bytes.length) throw new RangeError("a list lies outside of the memory");
    return this.#bytes.subarray(place, end);
  }

  /** Returns the bytes of a `result` that holds bytes or the text of an error. */
  #either<T>(call: number, place: number, lift: (bytes: Uint8Array) => T): T | undefined {
    const result = this.#result(place, 12);
    const lifted = this.#case(result) === 0 ? lift(this.#list(result + 4)) : undefined;
    if (lifted === undefined) this.why = decoded(this.#list(result + 4));
    this.#afters[call]?.(result);
    return lifted;
  }

  /** Returns the state of a `result` that holds a state or an error: a text, or, if the result is larger, a rejection. */
  #state(call: number, place: number, size: number): number {
    const result = this.#result(place, size);
    let state = REFUSED;
    if (this.#case(result) === 0) {
      state = this.#take(this.#words[(result >> 2) + 1]!);
    } else {
      this.refusal = size === 16 ? this.#case(result + 4) : 0;
      this.why = decoded(this.#list(result + size - 8));
    }
    this.#afters[call]?.(result);
    return state;
  }

  /** Returns which of its two cases a value is. */
  #case(at: number): number {
    const which = this.#bytes[at]!;
    if (which > 1) throw new RangeError("a value is neither of its two cases");
    return which;
  }

  /** Returns a handle for a state, for the machine's own use. */
  #hold(state: number): number {
    const handle = this.#free.pop() ?? this.#states.length;
    this.#states[handle] = state >>> 0;
    return handle;
  }

  #stateOf(handle: number): number {
    const state = this.#states[handle] ?? -1;
    if (state < 0) throw new RangeError(`the machine holds no state ${handle}`);
    return state;
  }

  /** Frees a handle that the machine gives up, and returns its state. */
  #take(handle: number): number {
    const state = this.#stateOf(handle);
    this.#states[handle] = -1;
    this.#free.push(handle);
    return state;
  }

  /** Records a fault of the machine, after which nothing of it is used again. */
  #fail(error: unknown): number {
    this.why = error instanceof Error ? error.message : String(error);
    const broken = () => {
      throw error;
    };
    this.#realloc = broken;
    this.#calls = this.#calls.map(() => broken);
    this.#destructor = undefined;
    this.isBroken = true;
    return FAULTED;
  }
}

function copied(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.slice();
}

function decoded(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}
