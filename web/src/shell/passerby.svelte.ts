/** Runs the state machine: feeds it what happens, does what it wants done, and shows its state to the page. */
import { isRash } from '../chat/actions';
import {
  credentials,
  initial,
  save,
  type Effect,
  type Input,
  type State,
  type TimerKey,
  type WireEvent,
} from '../chat/state';
import type { Given } from '../chat/newcomer';
import { newsOf } from '../chat/news';
import { NO_PREFERENCES, primary } from '../chat/preferences';
import { step } from '../chat/step';
import { Wire } from '../wire/socket';
import * as api from './api';
import { AttachedFiles } from './attached_files';
import { Attention } from './attention.svelte';
import { CallDoor } from './call_door.svelte';
import type { Take } from './recorder.svelte';
import { part } from './parts';
import { keepOpenSteps, load, openSteps, store } from './storage';

export const loadUpload = (): Promise<typeof import('./upload')> => import('./upload');

export class Passerby {
  /**
   * The truth. What Svelte shows is a copy: a component that is being removed reads the copy as it was
   * before, and to step from there would undo what has just happened.
   */
  #state = initial({ ...NO_PREFERENCES, languages: primary(navigator.languages) }, openSteps());
  #shown = $state.raw(this.#state);

  readonly #files = new AttachedFiles();
  readonly #timers = new Map<TimerKey, ReturnType<typeof setTimeout>>();
  readonly #wire = new Wire(
    {
      auth: () => credentials(this.#state),
      home: () => this.#state.home,
    },
    {
      event: (event, payload) => {
        const input = { type: 'event', event, payload } as WireEvent;
        this.dispatch(input);
        if (event.startsWith('webrtc:')) this.door.signal(input);
      },
      down: (retrying) => {
        this.dispatch({ type: 'down', retrying });
      },
      refused: (code, retryAfter, ban) => {
        this.dispatch({ type: 'refused', code, retryAfter, ban });
      },
    },
  );

  readonly attention = new Attention();
  /** To calls. */
  readonly door = new CallDoor(
    {
      state: () => this.#state,
      emit: (event, payload) => {
        this.#wire.emit(event, payload);
      },
      record: (record) => {
        this.dispatch({ type: 'called', record, at: new Date().toISOString() });
      },
    },
    () => {
      this.missPart();
    },
  );

  get state(): State {
    return this.#shown;
  }

  boot(): void {
    addEventListener('online', () => {
      this.dispatch({ type: 'online', online: true });
    });
    addEventListener('offline', () => {
      this.dispatch({ type: 'online', online: false });
    });
    this.dispatch({ type: 'boot', saved: load(), online: navigator.onLine });
    this.door.boot(this.#state.conversation);
  }

  dispatch(input: Input): void {
    // While there still is a conversation to say it in.
    const moves = input.type === 'next' || input.type === 'leave' || input.type === 'block';
    if (moves && !isRash(this.#state, input)) this.door.hangUp();
    const before = this.#state;
    const [state, effects] = step(before, input);
    this.#state = state;
    this.#shown = state;
    store(save(state));
    if (state.open !== before.open) keepOpenSteps(state.open);
    for (const effect of effects) this.#run(effect);
    this.door.follow(this.#state);
    const news = newsOf(before, input, state);
    if (news) this.attention.tell(news);
  }

  /** A part of the page cannot be loaded. */
  missPart(): void {
    this.dispatch({ type: 'partMissing' });
  }

  send(content: string): void {
    this.dispatch({ type: 'send', clientId: newId(), content, at: new Date().toISOString() });
  }

  /** Put files beside the composer, to be looked at before they are sent. */
  attach(files: readonly File[]): void {
    const attached = files.map((file) => this.#files.add(newId(), file));
    this.dispatch({ type: 'attach', files: attached, now: false });
  }

  sendVoice({ sound, duration, waveform }: Take): void {
    const attached = this.#files.addVoice(newId(), sound, duration, waveform);
    this.dispatch({ type: 'attach', files: [attached], now: true });
  }

  #run(effect: Effect): void {
    switch (effect.do) {
      case 'emit':
        this.#wire.emit(effect.event, effect.payload);
        break;
      case 'connect':
        this.#wire.connect();
        break;
      case 'disconnect':
        this.#wire.disconnect();
        break;
      case 'createSession':
        void this.#createSession(effect.username, effect.given);
        break;
      case 'endSession':
        // Best effort: a session that is not ended here ends by itself.
        api.endSession(effect.token).catch(() => undefined);
        break;
      case 'upload':
        void this.#upload(effect.id, effect.roomId);
        break;
      case 'discard':
        for (const id of effect.ids) this.#files.discard(id);
        break;
      case 'timer':
        this.#timer(effect.key, effect.ms);
        break;
    }
  }

  async #upload(id: string, roomId: string): Promise<void> {
    const taken = this.#files.take(id);
    const { token } = this.#state;
    if (!taken || token === null) return;
    const onprogress = (share: number): void => {
      this.dispatch({ type: 'uploadProgress', id, share });
    };
    let code: Awaited<ReturnType<typeof loadUpload>>;
    try {
      code = await part(loadUpload);
    } catch {
      this.dispatch({ type: 'uploadFailed', id, trouble: 'part_missing', retryAfter: null });
      return;
    }
    const pictureTypes = this.#state.limits?.pictureTypes ?? null;
    try {
      const file = await code.upload({ ...taken, roomId, token, pictureTypes, onprogress });
      this.dispatch({ type: 'uploaded', id, file, at: new Date().toISOString() });
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      const { trouble, retryAfter } = error;
      this.dispatch({ type: 'uploadFailed', id, trouble, retryAfter });
    }
  }

  async #createSession(username: string | null, given?: Given): Promise<void> {
    try {
      this.dispatch({
        type: 'sessionCreated',
        created: await api.createGuest(username, this.#state.token ?? this.#state.former, given),
      });
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      const { trouble, retryAfter, ban, challenge } = error;
      this.dispatch({ type: 'sessionFailed', trouble, retryAfter, ban, challenge, username });
    }
  }

  #timer(key: TimerKey, ms: number | null): void {
    clearTimeout(this.#timers.get(key));
    if (ms === null) return;
    this.#timers.set(
      key,
      setTimeout(() => {
        this.dispatch({ type: 'timer', key });
      }, ms),
    );
  }
}

/** Names a message of ours before the server does: 96 random bits. */
function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), hex).join('');
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
