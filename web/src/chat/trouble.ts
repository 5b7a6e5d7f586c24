/** Why something did not work. Decided by its code, and said in the guest's language; never by a sentence. */
import type { Code } from '../wire/types';

/** What no server says: only the client can know. */
export type ClientTrouble =
  /** No answer, or none in time. */
  | 'unreachable'
  /** An answer that is not the server's: of a proxy, say. */
  | 'unexpected'
  | 'too_many_files'
  /** It was moved, changed or deleted after it was chosen. */
  | 'file_unreadable'
  /** A part of the page that is loaded when it is needed. */
  | 'part_missing'
  /** A fresh session took the place of one that had ended. */
  | 'session_anew';

/** The server may be newer, and have a code that is not among these. */
export type Trouble = Code | ClientTrouble;
