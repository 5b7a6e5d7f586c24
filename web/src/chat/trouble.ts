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

/** Codes of files, reports, bans and the console: their words come with what shows them. */
export type LaterCode = Extract<
  Code,
  | 'file_missing'
  | 'file_empty'
  | 'file_too_large'
  | 'upload_malformed'
  | 'upload_timeout'
  | 'duration_invalid'
  | 'picture_too_large'
  | 'room_storage_full'
  | 'guest_storage_full'
  | 'unsupported_type'
  | 'file_damaged'
  | 'not_audio'
  | 'storage_full'
  | 'nothing_to_report'
  | 'already_reported'
  | 'reports_closed'
  | 'receipt_unknown'
  | 'appeal_unknown'
  | 'already_appealed'
  | 'banned'
  | 'proof_required'
  | 'age_required'
  | 'under_age'
  | 'rules_required'
  | 'login_required'
  | 'login_failed'
  | 'csrf_invalid'
  | 'role_required'
  | 'own_decision'
  | 'already_decided'
>;

/** The server may be newer, and have a code that is not among these. */
export type Trouble = Code | ClientTrouble;
