// @ts-check
// Runs the core modules of a component: the one adapter for the one contract, wit/machine.wit.
//
// The host's plan says in numbers how the modules are put together. Nothing else of the component decides what runs here, and no text of it is ever code.
// Values cross as the canonical ABI lays them out. States are the numbers by which the machine itself knows them.

/**
 * An instance and one of its exports.
 * @typedef {[number, number]} Place
 */

/**
 * @typedef {object} Plan
 * @property {[number, number][]} modules offset and length of each core module
 * @property {{ module: number, imports: (number | Place)[] }[]} instances
 * @property {Place} memory
 * @property {Place} realloc
 * @property {Place | null} destructor
 * @property {{ call: Place, post_return: Place | null }[]} functions
 */

/**
 * A core module, with the names of what it imports and exports, in order.
 * @typedef {{ module: WebAssembly.Module, imports: WebAssembly.ModuleImportDescriptor[], exports: string[] }} Compiled
 */

/** What a call answers instead of a state. A state is never negative. */
const REFUSED = -1;
const FAULTED = -2;

/** A list up to this length is copied byte by byte, which is quicker than a view of it. */
const SHORT_BYTES_MAX = 64;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Compiles the core modules of a component.
 * @param {Plan} plan
 * @param {Uint8Array<ArrayBuffer>} component
 * @returns {Promise<Compiled[]>}
 */
export function compile(plan, component) {
  return Promise.all(
    plan.modules.map(async ([offset, length]) => {
      const module = await WebAssembly.compile(component.subarray(offset, offset + length));
      const imports = WebAssembly.Module.imports(module);
      return { module, imports, exports: WebAssembly.Module.exports(module).map(({ name }) => name) };
    }),
  );
}

/**
 * One running machine. After a fault it answers nothing but faults. No method throws.
 *
 * Bytes come in by their place in the caller's memory, and cross at once. What a call gives besides its answer is in the fields until the next call.
 */
export class Instance {
  /** Why the last call was refused, or what the fault was. */
  why = "";
  /** Which case of a rejection the last refusal is: 0 is malformed, 1 a conflict. */
  refusal = 0;
  /** Whether the machine has broken off. */
  isBroken = false;
  /** The alarm that was asked for last. */
  alarmAt = 0n;
  alarmTransition = new Uint8Array();

  #memory;
  #realloc;
  #destructor;
  #bytes = new Uint8Array();
  #words = new Uint32Array();
  /** The caller's memory, which holds what calls are given. */
  #caller;
  #callerBytes = new Uint8Array();
  /** The contract's functions, in the plan's order, and what is to be called after each. */
  #calls;
  #afters;
  /** The number of the state behind each handle that the machine holds; -1 behind one that is free. */
  #states = [-1];
  /** @type {number[]} */
  #free = [];

  /**
   * Starts the machine.
   * @param {Plan} plan
   * @param {Compiled[]} modules
   * @param {WebAssembly.Memory} caller
   */
  constructor(plan, modules, caller) {
    this.#caller = caller;
    /** @type {((place: Place) => any)} */
    const at = ([instance, index]) => started[instance].exports[modules[plan.instances[instance].module].exports[index]];
    const builtIns = [
      (/** @type {number} */ state) => this.#hold(state),
      (/** @type {number} */ handle) => this.#stateOf(handle),
      (/** @type {number} */ handle) => this.#destructor?.(this.#take(handle)),
    ];
    /** @type {WebAssembly.Instance[]} */
    const started = [];
    for (const { module: index, imports: sources } of plan.instances) {
      const { module, imports } = modules[index];
      /** @type {any} */
      const given = Object.create(null);
      imports.forEach(({ module: from, name }, index) => {
        const source = sources[index];
        (given[from] ??= Object.create(null))[name] = typeof source === "number" ? builtIns[source] : at(source);
      });
      started.push(new WebAssembly.Instance(module, given));
    }
    this.#memory = at(plan.memory);
    this.#realloc = at(plan.realloc);
    this.#destructor = plan.destructor ? at(plan.destructor) : undefined;
    this.#calls = plan.functions.map(({ call }) => at(call));
    this.#afters = plan.functions.map(({ post_return: after }) => (after ? at(after) : undefined));
  }

  /** What the machine says of itself; nothing when it faults. */
  describe() {
    try {
      const result = this.#result(this.#calls[0](), 24);
      const described = { stateVersion: this.#words[(result >> 2) + 2], membership: this.#bytes[result + 12] !== 0 };
      this.#afters[0]?.(result);
      return described;
    } catch (error) {
      return void this.#fail(error);
    }
  }

  /**
   * A transition from its JSON. Nothing when it is refused or the machine faults.
   * @param {string} json
   */
  encode(json) {
    try {
      const text = encoder.encode(json);
      return this.#either(1, this.#calls[1](this.#lower(text, 0, text.length), text.length), copied);
    } catch (error) {
      return void this.#fail(error);
    }
  }

  /** Likewise a transition as JSON. @param {number} from @param {number} length */
  decode(from, length) {
    try {
      return this.#either(2, this.#calls[2](this.#lower(this.#given(), from, length), length), decoded);
    } catch (error) {
      return void this.#fail(error);
    }
  }

  /** @param {number} from @param {number} length */
  create(from, length) {
    try {
      return this.#state(3, this.#calls[3](this.#lower(this.#given(), from, length), length), 12);
    } catch (error) {
      return this.#fail(error);
    }
  }

  /** @param {number} from @param {number} length @param {number} stateVersion */
  restore(from, length, stateVersion) {
    try {
      return this.#state(4, this.#calls[4](this.#lower(this.#given(), from, length), length, stateVersion), 12);
    } catch (error) {
      return this.#fail(error);
    }
  }

  /**
   * @param {number} state
   * @param {bigint} seq
   * @param {bigint} time
   * @param {bigint} entropy
   * @param {number} kind the input's case; only the first, a transition, has two parts: its author and its bytes
   * @param {number} from
   * @param {number} length
   * @param {number} from2
   * @param {number} length2
   */
  apply(state, seq, time, entropy, kind, from, length, from2, length2) {
    try {
      const part = this.#lower(this.#given(), from, length);
      const part2 = kind === 0 ? this.#lower(this.#given(), from2, length2) : 0;
      return this.#state(5, this.#calls[5](state, seq, time, entropy, kind, part, length, part2, length2), 16);
    } catch (error) {
      return this.#fail(error);
    }
  }

  /** @param {number} state */
  snapshot(state) {
    try {
      const result = this.#result(this.#calls[6](state), 8);
      const snapshot = copied(this.#list(result));
      this.#afters[6]?.(result);
      return snapshot;
    } catch (error) {
      return void this.#fail(error);
    }
  }

  /** Whether the state has an alarm, which is in the fields then: 0 or 1. @param {number} state */
  alarm(state) {
    try {
      const result = this.#result(this.#calls[7](state), 24, 8);
      const has = this.#case(result);
      if (has === 1) {
        this.alarmAt = (BigInt(this.#words[(result >> 2) + 3]) << 32n) | BigInt(this.#words[(result >> 2) + 2]);
        this.alarmTransition = copied(this.#list(result + 16));
      }
      this.#afters[7]?.(result);
      return has;
    } catch (error) {
      return this.#fail(error);
    }
  }

  /** @param {number} state */
  view(state) {
    try {
      const result = this.#result(this.#calls[8](state), 8);
      const view = decoded(this.#list(result));
      this.#afters[8]?.(result);
      return view;
    } catch (error) {
      return void this.#fail(error);
    }
  }

  /** Frees a state. @param {number} state */
  dispose(state) {
    try {
      this.#destructor?.(state);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The caller's memory as it is now. */
  #given() {
    if (this.#callerBytes.length === 0) this.#callerBytes = new Uint8Array(this.#caller.buffer);
    return this.#callerBytes;
  }

  /**
   * Copies bytes into the machine's memory.
   * @param {Uint8Array} source
   * @param {number} from
   * @param {number} length
   */
  #lower(source, from, length) {
    const to = this.#realloc(0, 0, 1, length) >>> 0;
    const bytes = this.#current();
    if (to + length > bytes.length) throw new RangeError("`realloc` answered with a place outside of the memory");
    if (length > SHORT_BYTES_MAX) bytes.set(source.subarray(from, from + length), to);
    else for (let index = 0; index < length; index += 1) bytes[to + index] = source[from + index];
    return to;
  }

  /** The machine's memory as it is now: where it has grown, earlier views of it are empty. */
  #current() {
    if (this.#bytes.length === 0) {
      this.#bytes = new Uint8Array(this.#memory.buffer);
      this.#words = new Uint32Array(this.#memory.buffer);
    }
    return this.#bytes;
  }

  /**
   * Where a function has put its result, of so many bytes.
   * @param {number} place
   * @param {number} size
   */
  #result(place, size, alignment = 4) {
    const at = place >>> 0;
    if (at % alignment !== 0 || at + size > this.#current().length) throw new RangeError("a result lies outside of the memory");
    return at;
  }

  /** The bytes of a list whose place and length are written at `at`. @param {number} at */
  #list(at) {
    const place = this.#words[at >> 2];
    const end = place + this.#words[(at >> 2) + 1];
    if (end > this.#bytes.length) throw new RangeError("a list lies outside of the memory");
    return this.#bytes.subarray(place, end);
  }

  /**
   * A `result` of bytes or of a text that says why not.
   * @template T
   * @param {number} call
   * @param {number} place
   * @param {(bytes: Uint8Array) => T} lift
   */
  #either(call, place, lift) {
    const result = this.#result(place, 12);
    const lifted = this.#case(result) === 0 ? lift(this.#list(result + 4)) : undefined;
    if (lifted === undefined) this.why = decoded(this.#list(result + 4));
    this.#afters[call]?.(result);
    return lifted;
  }

  /**
   * A `result` of a state or of why not: a text, or, where the result is larger, a rejection.
   * @param {number} call
   * @param {number} place
   * @param {number} size
   */
  #state(call, place, size) {
    const result = this.#result(place, size);
    let state = REFUSED;
    if (this.#case(result) === 0) {
      state = this.#take(this.#words[(result >> 2) + 1]);
    } else {
      this.refusal = size === 16 ? this.#case(result + 4) : 0;
      this.why = decoded(this.#list(result + size - 8));
    }
    this.#afters[call]?.(result);
    return state;
  }

  /** Which of its two cases a value is. @param {number} at */
  #case(at) {
    const which = this.#bytes[at];
    if (which > 1) throw new RangeError("a value is neither of its two cases");
    return which;
  }

  /** A handle of the machine's own for a state. @param {number} state */
  #hold(state) {
    const handle = this.#free.pop() ?? this.#states.length;
    this.#states[handle] = state >>> 0;
    return handle;
  }

  /** @param {number} handle */
  #stateOf(handle) {
    const state = this.#states[handle] ?? -1;
    if (state < 0) throw new RangeError(`the machine holds no state ${handle}`);
    return state;
  }

  /** The state behind a handle that the machine gives away. @param {number} handle */
  #take(handle) {
    const state = this.#stateOf(handle);
    this.#states[handle] = -1;
    this.#free.push(handle);
    return state;
  }

  /** The machine has broken off: nothing of it is used again. @param {unknown} error */
  #fail(error) {
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

/** @param {Uint8Array} bytes */
function copied(bytes) {
  return bytes.slice();
}

/** @param {Uint8Array} bytes */
function decoded(bytes) {
  return decoder.decode(bytes);
}
