/** Saves what is edited: a while after the last edit, one request at a time, on what the edit was made on. */

export interface SaveState {
  phase: 'saved' | 'edited' | 'saving' | 'failed' | 'conflict';
  /** When it was saved last. */
  at: number;
  /** What the next change is made on: `d7` is a draft, `v3` a version. */
  etag: string;
  /** Why it is not saved. */
  why: string | null;
}

export type Answer =
  | { etag: string }
  /** `passes` says that the same may be taken a little later. */
  | { why: string; isConflict: boolean; passes: boolean };

export interface SaverWorld {
  /** Whether there is anything that the server does not have. */
  isDirty: () => boolean;
  /** Sends what there is now, and notes that the server has it. */
  send: (etag: string) => Promise<Answer>;
}

/** So long after an edit it is saved, in milliseconds. */
export const PAUSE_MS = 1000;
const AGAIN_MS = 5000;
const LONGEST_MS = 60_000;

export class Saver {
  #state: SaveState;
  readonly #world: SaverWorld;
  readonly #listeners = new Set<() => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #under: Promise<boolean> | null = null;
  #again = AGAIN_MS;
  #isOn = true;

  constructor(world: SaverWorld, etag: string, at: number) {
    this.#world = world;
    this.#state = { phase: 'saved', at, etag, why: null };
  }

  readonly state = (): SaveState => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Whether what is edited is still what is saved here: another workflow may be open by now. */
  readonly isOn = (): boolean => this.#isOn;

  begin(): void {
    this.#isOn = true;
  }

  /** Nothing more is sent. */
  end(): void {
    this.#isOn = false;
    this.stop();
  }

  /** Something was edited, or taken back. */
  edited(): void {
    // What is under way looks again when it is done; over a conflict a person decides.
    if (this.#under || this.#state.phase === 'conflict') return;
    if (!this.#world.isDirty()) {
      this.stop();
      this.#set({ phase: 'saved', why: null });
      return;
    }
    if (this.#state.phase !== 'failed') this.#set({ phase: 'edited' });
    this.#in(PAUSE_MS);
  }

  /** Saves now; true where the server has everything that there is. */
  async save(): Promise<boolean> {
    while (this.#under) await this.#under;
    if (!this.#isOn || this.#state.phase === 'conflict') return false;
    this.stop();
    this.#under = this.#all();
    const isSaved = await this.#under;
    this.#under = null;
    if (this.isOn() && this.#state.phase === 'edited') this.#in(PAUSE_MS);
    return isSaved;
  }

  /** From now on changes are made on this. */
  stands(etag: string): void {
    this.stop();
    this.#set({ phase: 'saved', etag, why: null });
    this.edited();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  async #all(): Promise<boolean> {
    // What is typed while it is sent is sent as well, but not for ever.
    for (let time = 0; time < 3 && this.#world.isDirty(); time += 1) {
      this.#set({ phase: 'saving' });
      const answer = await this.#world.send(this.#state.etag);
      if (!('etag' in answer)) return this.#failed(answer);
      this.#again = AGAIN_MS;
      this.#set({ etag: answer.etag, at: Date.now(), why: null });
      if (!this.#isOn) return true;
    }
    const isSaved = !this.#world.isDirty();
    this.#set({ phase: isSaved ? 'saved' : 'edited', why: null });
    return isSaved;
  }

  #failed({ why, isConflict, passes }: Exclude<Answer, { etag: string }>): false {
    this.#set({ phase: isConflict ? 'conflict' : 'failed', why });
    if (passes && this.#isOn) {
      this.#in(this.#again);
      this.#again = Math.min(this.#again * 2, LONGEST_MS);
    }
    return false;
  }

  #in(ms: number): void {
    this.stop();
    this.#timer = setTimeout(() => void this.save(), ms);
  }

  #set(change: Partial<SaveState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }
}
