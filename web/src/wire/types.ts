// Made by `npm run types` from schema.json: change the server’s events instead.

/**
 * Stable codes for programs and translations: of errors, refused handshakes and closed connections.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Code".
 */
export type Code =
  | 'age_required'
  | 'already_appealed'
  | 'already_decided'
  | 'already_in_room'
  | 'already_reported'
  | 'already_upgraded'
  | 'appeal_unknown'
  | 'backlog_overflow'
  | 'bad_method'
  | 'bad_request'
  | 'banned'
  | 'call_active'
  | 'call_declined'
  | 'client_disconnect'
  | 'connect_timeout'
  | 'connection_unknown'
  | 'consent_declined'
  | 'consent_pending'
  | 'csrf_invalid'
  | 'duplicate_poll'
  | 'duration_invalid'
  | 'extension_not_agreed'
  | 'file_damaged'
  | 'file_empty'
  | 'file_missing'
  | 'file_not_found'
  | 'file_too_large'
  | 'fragments_out_of_order'
  | 'guest_storage_full'
  | 'house_closed'
  | 'http_error'
  | 'interest_invalid'
  | 'interest_repeated'
  | 'interest_too_long'
  | 'internal'
  | 'invalid_payload'
  | 'language_invalid'
  | 'link_invalid'
  | 'login_failed'
  | 'login_required'
  | 'message_held'
  | 'message_too_big'
  | 'method_not_allowed'
  | 'mode_unknown'
  | 'new_device'
  | 'no_call'
  | 'no_offer'
  | 'not_audio'
  | 'not_found'
  | 'not_in_room'
  | 'not_searching'
  | 'not_your_room'
  | 'nothing_to_report'
  | 'origin_forbidden'
  | 'outbox_overflow'
  | 'own_decision'
  | 'parse_error'
  | 'picture_too_large'
  | 'ping_timeout'
  | 'proof_invalid'
  | 'proof_required'
  | 'protocol_unsupported'
  | 'range_not_satisfiable'
  | 'rate_limited'
  | 'receipt_unknown'
  | 'repeated_message'
  | 'replaced'
  | 'reports_closed'
  | 'request_timeout'
  | 'role_required'
  | 'room_closed'
  | 'room_storage_full'
  | 'rules_required'
  | 'server_disconnect'
  | 'server_error'
  | 'server_shutting_down'
  | 'session_ended'
  | 'session_not_found'
  | 'stalled'
  | 'step_closed'
  | 'storage_full'
  | 'text_control_characters'
  | 'text_empty'
  | 'text_not_utf8'
  | 'text_too_long'
  | 'token_expired'
  | 'token_invalid'
  | 'token_required'
  | 'too_large'
  | 'too_many_candidates'
  | 'too_many_interests'
  | 'too_many_packets'
  | 'transport_close'
  | 'transport_error'
  | 'transport_unknown'
  | 'unavailable'
  | 'under_age'
  | 'undo_impossible'
  | 'unsupported_media_type'
  | 'unsupported_type'
  | 'upgrade_not_completed'
  | 'upload_malformed'
  | 'upload_timeout'
  | 'wants_disabled'
  | 'wants_invalid';

export interface Wire {}
/**
 * The partner answers the call or a renegotiation.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Answer".
 */
export interface Answer {
  answer: SessionDescription;
  /**
   * Id of the call; signals of another call are ignored
   */
  callId: string;
  /**
   * Public id of a guest
   */
  from: string;
  fromUsername: string;
}
/**
 * RTCSessionDescriptionInit.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SessionDescription".
 */
export interface SessionDescription {
  sdp: string;
  type: 'answer' | 'offer';
}
/**
 * Body of POST /api/moderate/appeals/{id}.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "AnswerAppeal".
 */
export interface AnswerAppeal {
  verdict: 'rejected' | 'upheld' | 'waiting';
  /**
   * Free text for the moderators
   */
  words?: string;
}
/**
 * Allow a step to the partner, or not now; also without being asked, and later the other way round.
 *
 *     What waits is delivered when it is allowed, and refused to its author (consent_declined) when it is not.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "AnswerConsent".
 */
export interface AnswerConsent {
  allowed: boolean;
  step: 'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice';
  userId?: string | null;
}
/**
 * An appeal that waits, and what it is against.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "AppealLine".
 */
export interface AppealLine {
  ban: SanctionLine;
  id: number;
  /**
   * The moderator has decided the ban, so another one answers
   */
  isOwn: boolean;
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  madeAt: string;
  words: string;
}
/**
 * A sanction.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SanctionLine".
 */
export interface SanctionLine {
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  beginsAt: string;
  caseId: string | null;
  endsAt: string | null;
  id: number;
  kind: 'banned' | 'session_ended' | 'warning';
  liftedAt: string | null;
  marks: string[];
  moderator: string;
  rule: 'hate' | 'other' | 'private_data' | 'sexual' | 'spam' | 'threats' | 'under_age';
  words: string;
}
/**
 * Body of POST /api/appeals/status.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "AppealQuestion".
 */
export interface AppealQuestion {
  code: string;
}
/**
 * A ban, and what has become of the appeal against it.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "AppealStatus".
 */
export interface AppealStatus {
  answer?: string;
  ban: BanNotice;
  ended?: boolean;
  state: 'none' | 'rejected' | 'upheld' | 'waiting';
  words?: string;
}
/**
 * What a banned guest is told: nobody is kept out without a word.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "BanNotice".
 */
export interface BanNotice {
  /**
   * For POST /api/appeals; a secret of the guest
   */
  appealCode?: string;
  rule: 'hate' | 'other' | 'private_data' | 'sexual' | 'spam' | 'threats' | 'under_age';
  /**
   * Only the address or its network is known: it may be about somebody else who uses it too
   */
  shared?: boolean;
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  since: string;
  /**
   * Left out: it does not end by itself
   */
  until?: string;
  /**
   * The reason, written by a moderator; empty if `shared`
   */
  words: string;
}
/**
 * An entry of the audit.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "AuditLine".
 */
export interface AuditLine {
  action: string;
  actor: string;
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  at: string;
  details: {};
  number: number;
  object: string;
}
/**
 * The handshake's `auth`.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Auth".
 */
export interface Auth {
  /**
   * What the client knows of, beside what all do. undo: room:restored, after room:user_left with `undo`. consent: consent:ask; only such clients are asked. Unknown ones are ignored
   *
   * @maxItems 32
   */
  features?: string[];
  resume?: Resume | null;
  token?: string | null;
}
/**
 * `auth.resume`: the client's position in a room, so that only missing messages are replayed.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Resume".
 */
export interface Resume {
  epoch: number;
  /**
   * The page was loaded anew; the partner is told
   */
  reloaded?: boolean;
  roomId: string;
  /**
   * Highest seq up to which the client has every message; 0 for none
   */
  seq: number;
}
/**
 * Leave the conversation, and never meet the partner again: neither this session nor this browser.
 *
 *     Answered by chat:clear:confirmed. Also possible while the partner, who has just left, could come back.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Block".
 */
export interface Block {}
/**
 * The call has ended.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "CallEnded".
 */
export interface CallEnded {
  /**
   * Id of the call; signals of another call are ignored
   */
  callId: string;
  /**
   * Public id of a guest
   */
  from: string;
  fromUsername: string;
}
/**
 * A signal was refused and not forwarded to the partner.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "CallError".
 */
export interface CallError {
  code: Code;
  /**
   * English text for people; programs use `code`
   */
  message: string;
  /**
   * Seconds to wait before a retry
   */
  retryAfter?: number;
}
/**
 * The partner rejects the call.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "CallRejected".
 */
export interface CallRejected {
  /**
   * Id of the call; signals of another call are ignored
   */
  callId: string;
  /**
   * Public id of a guest
   */
  from: string;
  fromUsername: string;
}
/**
 * The call was not answered in time; sent to both sides.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "CallTimedOut".
 */
export interface CallTimedOut {
  /**
   * Id of the call; signals of another call are ignored
   */
  callId: string;
  /**
   * Public id of a guest
   */
  from: string;
  fromUsername: string;
}
/**
 * An ICE candidate of the partner; null when there are no more.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Candidate".
 */
export interface Candidate {
  /**
   * Id of the call; signals of another call are ignored
   */
  callId: string;
  candidate: IceCandidate | null;
  /**
   * Public id of a guest
   */
  from: string;
}
/**
 * RTCIceCandidateInit.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "IceCandidate".
 */
export interface IceCandidate {
  candidate: string;
  sdpMLineIndex?: number | null;
  sdpMid?: string | null;
  usernameFragment?: string | null;
}
/**
 * A case in a list.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "CaseLine".
 */
export interface CaseLine {
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  dueAt: string;
  earlier: number;
  hasEvidence: boolean;
  id: string;
  onHold: boolean;
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  openedAt: string;
  rule: 'hate' | 'other' | 'private_data' | 'sexual' | 'spam' | 'threats' | 'under_age';
  severity: number;
  source: 'hook' | 'repeats' | 'report' | 'skips';
  state: 'closed' | 'escalated' | 'open';
  username: string;
  /**
   * Names of other moderators who look at it now
   */
  viewers: string[];
}
/**
 * A part of the queue.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "CaseList".
 */
export interface CaseList {
  cases: CaseLine[];
  next: string | null;
  total: number;
}
/**
 * A case.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "CaseView".
 */
export interface CaseView {
  case: CaseLine;
  decisions: DecisionLine[];
  earlier: CaseLine[];
  evidence: EvidenceLine[];
  evidenceUntil: string | null;
  files: EvidenceFile[];
  holdReason: string;
  /**
   * Of the reported guest; empty: unknown
   */
  language: string;
  /**
   * What a ban can be by: session, device, address, network
   */
  marks: string[];
  /**
   * Of the reporter
   */
  words: string;
}
/**
 * What was decided.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "DecisionLine".
 */
export interface DecisionLine {
  action: 'ban' | 'dismiss' | 'end_session' | 'escalate' | 'hold' | 'note' | 'release' | 'warn';
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  at: string;
  moderator: string;
  rule: 'hate' | 'other' | 'private_data' | 'sexual' | 'spam' | 'threats' | 'under_age';
  sanctionId?: number;
  words: string;
}
/**
 * A message of the reported conversation, as the server has relayed it.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "EvidenceLine".
 */
export interface EvidenceLine {
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  at: string;
  by: 'reported' | 'reporter';
  /**
   * Number of the file, if it is kept
   */
  file?: number;
  id: string;
  /**
   * Whether the reporter has marked it
   */
  marked: boolean;
  text: string;
  type: 'file' | 'text' | 'voice';
  username: string;
}
/**
 * A file of the evidence: GET /api/moderate/cases/{id}/files/{number}.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "EvidenceFile".
 */
export interface EvidenceFile {
  mimeType: string;
  name: string;
  number: number;
  size: number;
}
/**
 * End the conversation. Always answered by chat:clear:confirmed.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ChatClear".
 */
export interface ChatClear {
  /**
   * Keep the conversation for `limits.undo` seconds, so that chat:undo can bring it back
   */
  undo?: boolean;
}
/**
 * Confirms that the guest has left; also sent when they were in no room.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ChatClearConfirmed".
 */
export interface ChatClearConfirmed {
  /**
   * English text for people; programs use `code`
   */
  message: string;
  /**
   * Seconds in which chat:undo brings the conversation back
   */
  undo?: number;
}
/**
 * The conversation has ended, and everything in it is deleted.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ChatCleared".
 */
export interface ChatCleared {
  reason: 'session_ended' | 'user_left';
  /**
   * Public id of a guest
   */
  userId: string;
  username: string;
}
/**
 * A chat event was refused. `client_id` is the message's, if it had one.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ChatError".
 */
export interface ChatError {
  clientId?: string;
  code: Code;
  /**
   * English text for people; programs use `code`
   */
  message: string;
  /**
   * Seconds to wait before a retry
   */
  retryAfter?: number;
}
/**
 * Take back a chat:clear with `undo`. Answered by room:restored, or chat:undo:error.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ChatUndo".
 */
export interface ChatUndo {
  resume: Resume;
}
/**
 * Payload by event name
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ClientToServer".
 */
export interface ClientToServer {
  'chat:block': Block;
  'chat:clear': ChatClear;
  'chat:message': SendMessage;
  'chat:message:delivered': ConfirmDelivery;
  'chat:typing:start': TypingStart;
  'chat:typing:stop': TypingStop;
  'chat:undo': ChatUndo;
  'close-room': CloseRoom;
  'consent:answer': AnswerConsent;
  'consent:open': OpenConsent;
  'get:stats': GetStats;
  'leave-room': LeaveRoom;
  'safety:report': Report;
  'user:match': MatchRequest;
  'user:match:cancel': MatchCancel;
  'webrtc:answer': SendAnswer;
  'webrtc:call-end': EndCall;
  'webrtc:call-reject': RejectCall;
  'webrtc:call-timeout': GiveUpCall;
  'webrtc:connected': ReportConnected;
  'webrtc:ice-candidate': SendCandidate;
  'webrtc:leaving': ReportLeaving;
  'webrtc:offer': SendOffer;
}
/**
 * A message to the partner. Answered by chat:message:sent (and the ack) or chat:error.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SendMessage".
 */
export interface SendMessage {
  clientId?: string | null;
  /**
   * text: 1 to `limits.textLength` characters (grapheme clusters), not blank; newline and tab are allowed. file, voice: the response of the upload, or at least its `fileId`; unknown fields are passed to the partner, up to 2 KiB
   */
  content:
    | string
    | {
        [k: string]: unknown;
      };
  type: 'file' | 'text' | 'voice';
}
/**
 * The recipient's client has received the message (and every one before it). Forwarded to its author.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ConfirmDelivery".
 */
export interface ConfirmDelivery {
  messageId: string;
}
/**
 * The guest is typing.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "TypingStart".
 */
export interface TypingStart {}
/**
 * The guest has stopped typing.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "TypingStop".
 */
export interface TypingStop {}
/**
 * End the conversation: alias of chat:clear.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "CloseRoom".
 */
export interface CloseRoom {}
/**
 * The steps that the guest allows to every partner, instead of those told before. Sent after each connection.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "OpenConsent".
 */
export interface OpenConsent {
  /**
   * @maxItems 16
   */
  steps:
    | []
    | ['audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice']
    | [
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
      ]
    | [
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
      ]
    | [
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
      ]
    | [
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
      ]
    | [
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
      ]
    | [
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
      ]
    | [
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
      ]
    | [
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
      ]
    | [
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
      ]
    | [
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
      ]
    | [
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
      ]
    | [
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
      ]
    | [
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
      ]
    | [
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
      ]
    | [
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
        'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice',
      ];
}
/**
 * Request the statistics. Answered by realtime:stats.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "GetStats".
 */
export interface GetStats {}
/**
 * End the conversation: alias of chat:clear.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "LeaveRoom".
 */
export interface LeaveRoom {}
/**
 * Report the partner: of this conversation, or of the last one for some time after its end (`REPORT_WINDOW`).
 *
 *     The server keeps its own log of the conversation as evidence. Answered by safety:reported or safety:report:error.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Report".
 */
export interface Report {
  epoch?: number | null;
  /**
   * Whether the conversation ends, and the two never meet again
   */
  leave?: boolean;
  /**
   * Those that it is about; may be empty
   *
   * @maxItems 200
   *
   * Items: msg_<epoch ms>_<random>
   */
  messages?: string[];
  reason: 'hate' | 'other' | 'private_data' | 'sexual' | 'spam' | 'threats' | 'under_age';
  /**
   * Free text for the moderators
   */
  words?: string;
}
/**
 * Search for a partner. Answered by user:match:searching, and by user:matched when a partner is found.
 *
 *     All preferences are optional. What cannot be satisfied is given up step by step, and each step is told by another
 *     user:match:searching. Anything that is no object counts as no preferences, and so do fields that are not these.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MatchRequest".
 */
export interface MatchRequest {
  /**
   * Words. Case, width and spaces around and between them make no difference
   *
   * @maxItems 5
   */
  interests?:
    | []
    | [string]
    | [string, string]
    | [string, string, string]
    | [string, string, string, string]
    | [string, string, string, string, string];
  /**
   * That the guest speaks, the preferred one first; regions make no difference. Without any: the session's `language`
   *
   * @maxItems 3
   *
   * Items: BCP 47 language tag
   */
  languages?: [] | [string] | [string, string] | [string, string, string];
  /**
   * What the guest wants to do. Guests with different modes never meet
   */
  mode?: 'audio' | 'text' | 'video';
  /**
   * Give nothing up, however long it takes; ignored unless `limits.matching.only`
   */
  only?: boolean;
  wants?: Wants;
}
/**
 * What the partner should have told of themselves. The operator may have disabled each.
 */
export interface Wants {
  gender?: string | null;
  location?: string | null;
}
/**
 * Stop searching. Answered by user:match:cancelled or user:match:cancel:error.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MatchCancel".
 */
export interface MatchCancel {}
/**
 * Answer the call or a renegotiation.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SendAnswer".
 */
export interface SendAnswer {
  answer: SessionDescription;
  callId?: string | null;
  /**
   * The guest's choice: from now on, only relay candidates of this guest are forwarded
   */
  relayOnly?: boolean;
}
/**
 * Hang up.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "EndCall".
 */
export interface EndCall {
  callId?: string | null;
}
/**
 * Reject the call.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "RejectCall".
 */
export interface RejectCall {
  callId?: string | null;
}
/**
 * The call was not answered in time, according to the client; the server has its own timeout.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "GiveUpCall".
 */
export interface GiveUpCall {
  callId?: string | null;
}
/**
 * Media flows: the call is active.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ReportConnected".
 */
export interface ReportConnected {
  /**
   * Id of the call; signals of another call are ignored
   */
  callId: string;
}
/**
 * An ICE candidate of this guest; null when there are no more.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SendCandidate".
 */
export interface SendCandidate {
  callId?: string | null;
  candidate: IceCandidate | null;
}
/**
 * The page is being closed or reloaded. The call ends unless the guest returns soon.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ReportLeaving".
 */
export interface ReportLeaving {
  /**
   * Id of the call; signals of another call are ignored
   */
  callId: string;
}
/**
 * Call the partner; within a call: renegotiate (more media, an ICE restart).
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SendOffer".
 */
export interface SendOffer {
  callId?: string | null;
  offer: SessionDescription;
  /**
   * The guest's choice: from now on, only relay candidates of this guest are forwarded
   */
  relayOnly?: boolean;
  type: 'audio' | 'video';
}
/**
 * Sent before the server closes this connection; contains the reason.
 *
 *     With `returnIn` the server stops: the connection goes on until then, and the client should come back.
 *     Without it the connection closes now, and the client should not reconnect.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ConnectionClosing".
 */
export interface ConnectionClosing {
  /**
   * Seconds until the connection is closed
   */
  closesIn?: number;
  code: Code;
  /**
   * Whether session and conversation are still there then
   */
  kept?: boolean;
  /**
   * English text for people; programs use `code`
   */
  message: string;
  /**
   * Seconds after which to come back
   */
  returnIn?: number;
}
/**
 * The first event after connecting.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ConnectionEstablished".
 */
export interface ConnectionEstablished {
  /**
   * Of several nodes, the one on which the guest lives: give it back as `at` in the query of later connections. Says nothing else; left out if there is one node
   */
  at?: string;
  isGuest: boolean;
  limits: Limits;
  room: RoomSummary | null;
  /**
   * Sent only to the session's owner; gives no access without a token
   */
  sessionId: string;
  socketId: string;
  /**
   * Public id of a guest
   */
  userId: string;
  username: string;
}
/**
 * Limits for clients; all are settings. Sent on connect, and returned by `GET /api/limits`.
 *
 *     Times are in seconds and may have a fraction.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Limits".
 */
export interface Limits {
  /**
   * What the partner is asked for before the first one, if their client can ask (`consent`)
   */
  consent: ('audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice')[];
  /**
   * Maximum seconds that a file can be downloaded
   */
  fileLifetime: number;
  /**
   * Maximum bytes of one file
   */
  fileSize: number;
  /**
   * Maximum number of files that a client offers to send at once
   */
  filesPerMessage: number;
  /**
   * Seconds to reconnect after a lost connection
   */
  grace: number;
  /**
   * Maximum bytes of all files of one guest
   */
  guestFilesSize: number;
  matching: MatchingLimits;
  /**
   * Maximum pixels of a picture (width times height)
   */
  picturePixels: number;
  /**
   * MIME types of accepted pictures
   */
  pictureTypes: string[];
  /**
   * Seconds until an unanswered call times out
   */
  ringTimeout: number;
  /**
   * Maximum bytes of all files of a conversation
   */
  roomFilesSize: number;
  /**
   * Maximum characters (grapheme clusters) of a text message
   */
  textLength: number;
  /**
   * Seconds to take back a chat:clear with `undo`; 0: never
   */
  undo: number;
  /**
   * Maximum seconds of a voice note
   */
  voiceDuration: number;
}
/**
 * What a search may ask for. Times are in seconds.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MatchingLimits".
 */
export interface MatchingLimits {
  /**
   * Maximum characters of an interest
   */
  interestLength: number;
  /**
   * Maximum interests
   */
  interests: number;
  /**
   * Maximum languages
   */
  languages: number;
  /**
   * Whether a guest may choose that nothing is given up
   */
  only: boolean;
  /**
   * What may be wanted of the partner
   */
  wants: ('gender' | 'location')[];
}
/**
 * The guest's room, sent when they connect.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "RoomSummary".
 */
export interface RoomSummary {
  epoch: number;
  partner: Partner;
  /**
   * The two guest ids, sorted, joined by `_`
   */
  roomId: string;
  seq: number;
}
/**
 * What a guest learns about the partner.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Partner".
 */
export interface Partner {
  gender: string | null;
  /**
   * Public id of a guest
   */
  id: string;
  isGuest: boolean;
  language: string | null;
  location: string | null;
  username: string;
}
/**
 * The partner allows a step, or not now.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ConsentAnswered".
 */
export interface ConsentAnswered {
  allowed: boolean;
  step: 'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice';
  /**
   * Public id of a guest
   */
  userId: string;
  username: string;
}
/**
 * The partner wants to send the first link, picture, … or to call. Answer with consent:answer.
 *
 *     Sent again after a reconnection, until it is answered.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ConsentAsked".
 */
export interface ConsentAsked {
  step: 'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice';
  /**
   * Public id of a guest
   */
  userId: string;
  username: string;
}
/**
 * The answer was refused.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ConsentError".
 */
export interface ConsentError {
  code: Code;
  /**
   * English text for people; programs use `code`
   */
  message: string;
  /**
   * Seconds to wait before a retry
   */
  retryAfter?: number;
}
/**
 * The partner is asked first: a message with this `clientId`, or the call, waits on the server.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ConsentWaiting".
 */
export interface ConsentWaiting {
  /**
   * Chosen by the sender; a message with the same id is a duplicate and is delivered only once
   */
  clientId?: string;
  step: 'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice';
}
/**
 * Nothing waits any more: the partner has given up the call that they asked for.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ConsentWithdrawn".
 */
export interface ConsentWithdrawn {
  step: 'audio' | 'files' | 'links' | 'pictures' | 'video' | 'voice';
  /**
   * Public id of a guest
   */
  userId: string;
  username: string;
}
/**
 * Who is logged in. The session is a cookie.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Console".
 */
export interface Console {
  canBanAddresses: boolean;
  /**
   * For the header `X-CSRF-Token` of every request but GET
   */
  csrf: string;
  name: string;
  role: 'admin' | 'moderator' | 'triage';
  rules: ('hate' | 'other' | 'private_data' | 'sexual' | 'spam' | 'threats' | 'under_age')[];
  /**
   * Seconds in which cases of severity 3, 2 and 1 are decided
   */
  targets: number[];
}
/**
 * Body of POST /api/moderate/cases/{id}/decisions.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Decide".
 */
export interface Decide {
  action: 'ban' | 'dismiss' | 'end_session' | 'escalate' | 'hold' | 'note' | 'release' | 'warn';
  by?: ('address' | 'device' | 'network' | 'session')[];
  rule: 'hate' | 'other' | 'private_data' | 'sexual' | 'spam' | 'threats' | 'under_age';
  seconds?: number | null;
  /**
   * Free text for the moderators
   */
  words?: string;
}
/**
 * The envelope of error responses.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Failure".
 */
export interface Failure {
  ban?: BanNotice1;
  /**
   * Of proof_required: an ALTCHA challenge
   */
  challenge?: {};
  code: Code;
  errors?: FieldError[];
  message: string;
  retryAfter?: number;
  success: boolean;
}
/**
 * What a banned guest is told: nobody is kept out without a word.
 */
export interface BanNotice1 {
  /**
   * For POST /api/appeals; a secret of the guest
   */
  appealCode?: string;
  rule: 'hate' | 'other' | 'private_data' | 'sexual' | 'spam' | 'threats' | 'under_age';
  /**
   * Only the address or its network is known: it may be about somebody else who uses it too
   */
  shared?: boolean;
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  since: string;
  /**
   * Left out: it does not end by itself
   */
  until?: string;
  /**
   * The reason, written by a moderator; empty if `shared`
   */
  words: string;
}
/**
 * An invalid field of the body.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "FieldError".
 */
export interface FieldError {
  field: string;
  message: string;
}
/**
 * Of the cases that were opened, and the decisions and appeals that were made, from `begins_at` to `ends_at`.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Figures".
 */
export interface Figures {
  appeals: number;
  appealsOpen: number;
  appealsRejected: number;
  appealsUpheld: number;
  beginsAt: number;
  decided: number;
  endsAt: number;
  medianDecisionSeconds: number | null;
  open: number;
  openBySeverity: number[];
  overdue: number;
  rules: RuleFigures[];
  sources: {
    [k: string]: number;
  };
  withinTarget: number;
}
/**
 * Of one rule.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "RuleFigures".
 */
export interface RuleFigures {
  cases: number;
  decisions: {
    [k: string]: number;
  };
  rule: 'hate' | 'other' | 'private_data' | 'sexual' | 'spam' | 'threats' | 'under_age';
}
/**
 * A file as sent to both members of the room: response of the upload, content of `file` and `voice` messages.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "FileInfo".
 */
export interface FileInfo {
  /**
   * Like fileUrl, but always served as an attachment
   */
  downloadUrl: string;
  /**
   * Seconds
   */
  duration?: number;
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  expiresAt: string;
  /**
   * Random; gives no access without a signed link
   */
  fileId: string;
  /**
   * Bytes, as stored; metadata of pictures is removed
   */
  fileSize: number;
  fileType: 'audio' | 'document' | 'image' | 'video';
  fileTypeCategory: 'audio' | 'document' | 'image' | 'video';
  /**
   * Signed path to download the file; valid until the file expires or the room closes
   */
  fileUrl: string;
  filename: string;
  /**
   * Pixels
   */
  height?: number;
  isImage: boolean;
  /**
   * Detected from the file's bytes, not taken from the sender
   */
  mimeType: string;
  /**
   * Signed path to download the file; valid until the file expires or the room closes
   */
  tempUrl: string;
  /**
   * Pixels
   */
  width?: number;
}
/**
 * Body of POST /api/moderate/setup/{token}.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "FinishSetUp".
 */
export interface FinishSetUp {
  code: string;
  password: string;
}
/**
 * A new session and its token.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "GuestCreated".
 */
export interface GuestCreated {
  /**
   * What this browser is known by: send it as the header `Device` next time
   */
  device: string;
  ended?: BanNotice2;
  token: string;
  user: GuestUser;
}
/**
 * What a banned guest is told: nobody is kept out without a word.
 */
export interface BanNotice2 {
  /**
   * For POST /api/appeals; a secret of the guest
   */
  appealCode?: string;
  rule: 'hate' | 'other' | 'private_data' | 'sexual' | 'spam' | 'threats' | 'under_age';
  /**
   * Only the address or its network is known: it may be about somebody else who uses it too
   */
  shared?: boolean;
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  since: string;
  /**
   * Left out: it does not end by itself
   */
  until?: string;
  /**
   * The reason, written by a moderator; empty if `shared`
   */
  words: string;
}
/**
 * The guest's own view of the session.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "GuestUser".
 */
export interface GuestUser {
  gender: string | null;
  /**
   * Public id of a guest
   */
  id: string;
  isGuest: boolean;
  language: string | null;
  location: string | null;
  /**
   * Sent only to the session's owner; gives no access without a token
   */
  sessionId: string;
  username: string;
}
/**
 * The authenticated guest.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "GuestData".
 */
export interface GuestData {
  user: GuestUser;
}
/**
 * Liveness.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Health".
 */
export interface Health {
  /**
   * off: `REDIS_URL` is not set. normal: Redis has everything. resync: it is in use, and is given what it lacks. degraded: it cannot be used, and the memory of the process goes on alone
   */
  redis: 'degraded' | 'normal' | 'off' | 'resync';
  status: string;
  uptime: number;
  version: string;
}
/**
 * What a guest is asked before the first session, and what they may read. Returned by `GET /api/house`.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "House".
 */
export interface House {
  /**
   * Whether a provider checks the age: see GET /api/age
   */
  ageCheck?: boolean;
  /**
   * Years; 0: nobody is asked
   */
  ageMinimum?: number;
  /**
   * See GET /api/pages/{name}
   */
  pages?: ('contact' | 'privacy' | 'rules')[];
  /**
   * Seconds after the end in which one can report
   */
  reportWindow?: number;
  /**
   * Whether reports are taken
   */
  reports?: boolean;
  /**
   * Version of the rules to accept; empty: there are none
   */
  rules?: string;
}
/**
 * A page of the operator's, as HTML without scripts, styles or foreign pictures.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "HousePage".
 */
export interface HousePage {
  html: string;
  version: string;
}
/**
 * RTCIceServer.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "IceServer".
 */
export interface IceServer {
  credential?: string;
  urls: string[];
  username?: string;
}
/**
 * Configuration for a client's RTCPeerConnection.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "IceServers".
 */
export interface IceServers {
  iceServers: IceServer[];
  /**
   * relay: the operator requires TURN relays, so that no guest learns another's address
   */
  iceTransportPolicy: 'all' | 'relay';
  /**
   * Seconds until the credentials expire; request new ones before a later call
   */
  ttl: number;
}
/**
 * The location format of old clients; stored as one string, `city, country`.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "LegacyLocation".
 */
export interface LegacyLocation {
  city?: string | null;
  country?: string | null;
}
/**
 * Body of POST /api/moderate/bans/{id}/lift.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "LiftBan".
 */
export interface LiftBan {
  /**
   * Free text for the moderators
   */
  words: string;
}
/**
 * Body of POST /api/moderate/session.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "LogIn".
 */
export interface LogIn {
  /**
   * Of the authenticator app
   */
  code: string;
  name: string;
  password: string;
}
/**
 * The search could not be cancelled.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MatchCancelError".
 */
export interface MatchCancelError {
  code: Code;
  /**
   * English text for people; programs use `code`
   */
  message: string;
  /**
   * Seconds to wait before a retry
   */
  retryAfter?: number;
}
/**
 * The search has ended.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MatchCancelled".
 */
export interface MatchCancelled {
  /**
   * English text for people; programs use `code`
   */
  message: string;
}
/**
 * The search could not start.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MatchError".
 */
export interface MatchError {
  code: Code;
  /**
   * The field that is wrong
   */
  field?: string;
  /**
   * English text for people; programs use `code`
   */
  message: string;
  /**
   * Seconds to wait before a retry
   */
  retryAfter?: number;
}
/**
 * Nobody who fits is waiting yet; the search continues.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MatchNoUsers".
 */
export interface MatchNoUsers {
  /**
   * English text for people; programs use `code`
   */
  message: string;
}
/**
 * The search has started, or has come to its next stage.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MatchSearching".
 */
export interface MatchSearching {
  /**
   * Seconds since the search began
   */
  elapsed: number;
  /**
   * English text for people; programs use `code`
   */
  message: string;
  /**
   * What the search asks for now. interests: a shared interest, in a shared language. language: a shared language. anyone: nothing. again: nothing, and it may be somebody who was met lately
   */
  stage: 'again' | 'anyone' | 'interests' | 'language';
  /**
   * Seconds that searches have taken lately, the median
   */
  usualWait?: number;
  /**
   * Guests who search in this mode, with this one; a second old
   */
  waiting: number;
}
/**
 * The conversation is open. Both members get this, with the public view of the partner.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Matched".
 */
export interface Matched {
  /**
   * Of several nodes, the one on which the guest lives: give it back as `at` in the query of later connections. Says nothing else; left out if there is one node
   */
  at?: string;
  epoch: number;
  matchedUser: Partner;
  /**
   * The two have met lately; nobody else came
   */
  metBefore?: true;
  /**
   * The two guest ids, sorted, joined by `_`
   */
  roomId: string;
  shared?: Shared;
}
/**
 * What the two have in common, of what they have told.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Shared".
 */
export interface Shared {
  /**
   * As the recipient has written them
   */
  interests: string[];
  /**
   * Primary language subtag
   */
  language: string | null;
}
/**
 * How searches fare now, of all processes together. About a second old.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MatchingStatus".
 */
export interface MatchingStatus {
  /**
   * Seconds until no search can begin; left out: never
   */
  closesIn?: number;
  /**
   * Seconds until guests can meet; left out: they can
   */
  opensIn?: number;
  /**
   * Interests with which several guests search now, the most frequent first
   */
  suggestions: string[];
  /**
   * Seconds that searches have taken lately at this hour, the median
   */
  usualWait?: number;
  waiting: Searching;
}
/**
 * Guests who search now, by mode
 */
export interface Searching {
  audio: number;
  text: number;
  video: number;
}
/**
 * One message of a conversation, as logged and as sent to the partner.
 *
 *     `seq` numbers the messages of a room from 1 without gaps, for both members together. A replay to the sender
 *     contains `client_id`, so that the client recognises its own messages. A message contains no reference cycles, so
 *     the garbage collector need not track it (`gc=False`).
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Message".
 */
export interface Message {
  /**
   * Chosen by the sender; a message with the same id is a duplicate and is delivered only once
   */
  clientId?: string;
  content: string | {};
  /**
   * msg_<epoch ms>_<random>
   */
  id: string;
  /**
   * Public id of a guest
   */
  senderId: string;
  senderUsername: string;
  seq: number;
  status: 'delivered' | 'sending' | 'sent';
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  timestamp: string;
  type: 'file' | 'text' | 'voice';
}
/**
 * To the recipient: follows the message. To the author: the recipient has received it (and all before it).
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MessageDelivered".
 */
export interface MessageDelivered {
  /**
   * msg_<epoch ms>_<random>
   */
  messageId: string;
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  timestamp: string;
}
/**
 * The message is accepted and logged.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MessageSent".
 */
export interface MessageSent {
  /**
   * Chosen by the sender; a message with the same id is a duplicate and is delivered only once
   */
  clientId?: string;
  /**
   * msg_<epoch ms>_<random>
   */
  messageId: string;
  seq: number;
  status: 'sent';
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  timestamp: string;
}
/**
 * A moderator, as admins see them.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ModeratorLine".
 */
export interface ModeratorLine {
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  createdAt: string;
  disabled: boolean;
  isSetUp: boolean;
  name: string;
  role: 'admin' | 'moderator' | 'triage';
}
/**
 * Body of POST /api/appeals.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "NewAppeal".
 */
export interface NewAppeal {
  code: string;
  /**
   * Free text for the moderators
   */
  words: string;
}
/**
 * Body of POST /api/guest; all fields are optional.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "NewGuest".
 */
export interface NewGuest {
  bornOn?: string | null;
  gender?: string | null;
  language?: string | null;
  location?: string | LegacyLocation | null;
  rules?: string | null;
  username?: string | null;
}
/**
 * The partner calls, or renegotiates the call.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Offer".
 */
export interface Offer {
  /**
   * Id of the call; signals of another call are ignored
   */
  callId: string;
  /**
   * Public id of a guest
   */
  from: string;
  fromUsername: string;
  offer: SessionDescription;
  /**
   * Whether this side gives way when both negotiate at once (perfect negotiation)
   */
  polite: boolean;
  type: 'audio' | 'video';
}
/**
 * The public view of a guest, visible to every guest. Contains no session id.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "OnlineUser".
 */
export interface OnlineUser {
  gender: string | null;
  /**
   * Public id of a guest
   */
  id: string;
  isGuest: boolean;
  isOnline: boolean;
  isSearching: boolean;
  language: string | null;
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  lastSeen: string;
  location: string | null;
  username: string;
}
/**
 * A bounded sample of online guests; `count` is the number of all online guests.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "OnlineUsersData".
 */
export interface OnlineUsersData {
  count: number;
  onlineUsers: OnlineUser[];
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  timestamp: string;
}
/**
 * The partner lost the connection. Messages are kept for them for `grace` seconds.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "PartnerAway".
 */
export interface PartnerAway {
  /**
   * Seconds left for the partner to reconnect
   */
  grace: number;
  /**
   * English text for people; programs use `code`
   */
  message: string;
  /**
   * Public id of a guest
   */
  userId: string;
  username: string;
}
/**
 * The partner is connected again.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "PartnerBack".
 */
export interface PartnerBack {
  /**
   * English text for people; programs use `code`
   */
  message: string;
  /**
   * Their page was loaded anew, and has left a call until it joins again
   */
  reloaded?: true;
  /**
   * Public id of a guest
   */
  userId: string;
  username: string;
}
/**
 * The public view of a session.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "PublicGuestData".
 */
export interface PublicGuestData {
  user: OnlineUser;
}
/**
 * Live counts and a bounded sample of online guests.
 *
 *     Sent on change, at most once per STATS_INTERVAL (by default a second).
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "RealtimeStats".
 */
export interface RealtimeStats {
  onlineUsers: OnlineUser[];
  stats: Stats;
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  timestamp: string;
}
/**
 * The live counts. `connected_users` counts pairs: guests in a room ÷ 2.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Stats".
 */
export interface Stats {
  /**
   * Connected guests, from the counters shared by all nodes
   */
  activeUsers: number;
  /**
   * Connected guests who are in no room
   */
  availableUsers: number;
  /**
   * Pairs in a room, including members in the grace window
   */
  connectedUsers: number;
  /**
   * Guests with a connection
   */
  onlineUsers: number;
  /**
   * Sessions that have not expired, connected or not
   */
  totalUsers: number;
}
/**
 * Body of POST /api/reports/status.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ReceiptQuestion".
 */
export interface ReceiptQuestion {
  receipt: string;
}
/**
 * How Redis has fared since the process began.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "RedisStats".
 */
export interface RedisStats {
  /**
   * How often Redis was lost
   */
  degraded: number;
  /**
   * How often Redis had everything
   */
  normal: number;
  /**
   * How often everything was written again
   */
  resync: number;
  /**
   * off: `REDIS_URL` is not set. normal: Redis has everything. resync: it is in use, and is given what it lacks. degraded: it cannot be used, and the memory of the process goes on alone
   */
  state: 'degraded' | 'normal' | 'off' | 'resync';
  /**
   * Messages that were acknowledged while Redis did not have them
   */
  unlogged: number;
}
/**
 * The report was refused: nothing_to_report, already_reported, reports_closed, rate_limited, unavailable.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ReportError".
 */
export interface ReportError {
  code: Code;
  /**
   * English text for people; programs use `code`
   */
  message: string;
  /**
   * Seconds to wait before a retry
   */
  retryAfter?: number;
}
/**
 * What has become of a report.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ReportStatus".
 */
export interface ReportStatus {
  action?: 'ban' | 'end_session' | 'none' | 'warning';
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  decidedAt?: string;
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  reportedAt: string;
  rule: 'hate' | 'other' | 'private_data' | 'sexual' | 'spam' | 'threats' | 'under_age';
  state: 'decided' | 'dismissed' | 'waiting';
}
/**
 * The report is taken.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Reported".
 */
export interface Reported {
  /**
   * Whether the conversation is kept as evidence
   */
  hasMessages: boolean;
  /**
   * The database is away: the report is written as soon as it is back
   */
  queued: boolean;
  /**
   * With it, POST /api/reports/status says what has become of the report
   */
  receipt: string;
}
/**
 * To the caller: the call has started; contains its id.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Ringing".
 */
export interface Ringing {
  /**
   * Id of the call; signals of another call are ignored
   */
  callId: string;
  /**
   * Whether this side gives way when both negotiate at once (perfect negotiation)
   */
  polite: boolean;
  /**
   * Seconds until the call times out
   */
  timeout: number;
  type: 'audio' | 'video';
}
/**
 * The conversation ended while the guest or the partner was disconnected.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "RoomClosed".
 */
export interface RoomClosed {
  /**
   * English text for people; programs use `code`
   */
  message: string;
  reason: 'partner_offline' | 'session_ended' | 'user_disconnected' | 'user_left';
  undelivered: Undelivered[];
  /**
   * Public id of a guest
   */
  userId: string;
  username: string;
}
/**
 * One of the recipient's own messages that did not reach the partner.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Undelivered".
 */
export interface Undelivered {
  /**
   * Chosen by the sender; a message with the same id is a duplicate and is delivered only once
   */
  clientId?: string;
  /**
   * msg_<epoch ms>_<random>
   */
  messageId: string;
}
/**
 * The member `user_id` has taken back that they left: the conversation goes on. Both members get this.
 *
 *     room:resumed and what is missing follow for the member who came back.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "RoomRestored".
 */
export interface RoomRestored {
  epoch: number;
  /**
   * English text for people; programs use `code`
   */
  message: string;
  partner: Partner;
  /**
   * The two guest ids, sorted, joined by `_`
   */
  roomId: string;
  seq: number;
  /**
   * Public id of a guest
   */
  userId: string;
  username: string;
}
/**
 * Sent after connection:established to a guest who returned; the missing chat:messages follow in order.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "RoomResumed".
 */
export interface RoomResumed {
  /**
   * Highest seq that the partner's client has confirmed; 0 for none
   */
  delivered: number;
  epoch: number;
  /**
   * Missing messages that are no longer in the log
   */
  gap: number;
  partner: Partner;
  partnerAway: boolean;
  /**
   * The two guest ids, sorted, joined by `_`
   */
  roomId: string;
  /**
   * Current highest seq of the room
   */
  seq: number;
}
/**
 * A part of the sanctions.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SanctionList".
 */
export interface SanctionList {
  next: string | null;
  sanctions: SanctionLine[];
}
/**
 * How many guests search in each mode: those of different modes never meet.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Searching".
 */
export interface Searching1 {
  audio: number;
  text: number;
  video: number;
}
/**
 * Payload by event name
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ServerToClient".
 */
export interface ServerToClient {
  'chat:clear:confirmed': ChatClearConfirmed;
  'chat:cleared': ChatCleared;
  'chat:error': ChatError;
  'chat:message': Message;
  'chat:message:delivered': MessageDelivered;
  'chat:message:sent': MessageSent;
  'chat:typing:start': TypingStarted;
  'chat:typing:stop': TypingStopped;
  'chat:undo:error': UndoError;
  'connection:closing': ConnectionClosing;
  'connection:established': ConnectionEstablished;
  'consent:answered': ConsentAnswered;
  'consent:ask': ConsentAsked;
  'consent:error': ConsentError;
  'consent:waiting': ConsentWaiting;
  'consent:withdrawn': ConsentWithdrawn;
  'get:stats:error': StatsError;
  'realtime:stats': RealtimeStats;
  'room:closed': RoomClosed;
  'room:partner_away': PartnerAway;
  'room:partner_back': PartnerBack;
  'room:restored': RoomRestored;
  'room:resumed': RoomResumed;
  'room:user_joined': UserJoined;
  'room:user_left': UserLeft;
  'safety:report:error': ReportError;
  'safety:reported': Reported;
  'safety:told': Told;
  'session:renewed': SessionRenewed;
  'user:match:cancel:error': MatchCancelError;
  'user:match:cancelled': MatchCancelled;
  'user:match:error': MatchError;
  'user:match:no_users': MatchNoUsers;
  'user:match:searching': MatchSearching;
  'user:matched': Matched;
  'webrtc:answer': Answer;
  'webrtc:call-end': CallEnded;
  'webrtc:call-reject': CallRejected;
  'webrtc:call-timeout': CallTimedOut;
  'webrtc:error': CallError;
  'webrtc:ice-candidate': Candidate;
  'webrtc:offer': Offer;
  'webrtc:ringing': Ringing;
}
/**
 * The partner is typing.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "TypingStarted".
 */
export interface TypingStarted {
  /**
   * Public id of a guest
   */
  userId: string;
  username: string;
}
/**
 * The partner has stopped typing.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "TypingStopped".
 */
export interface TypingStopped {
  /**
   * Public id of a guest
   */
  userId: string;
  username: string;
}
/**
 * The conversation cannot be brought back.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "UndoError".
 */
export interface UndoError {
  code: Code;
  /**
   * English text for people; programs use `code`
   */
  message: string;
  /**
   * Seconds to wait before a retry
   */
  retryAfter?: number;
}
/**
 * The statistics are not available.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "StatsError".
 */
export interface StatsError {
  code: Code;
  /**
   * English text for people; programs use `code`
   */
  message: string;
  /**
   * Seconds to wait before a retry
   */
  retryAfter?: number;
}
/**
 * A member has joined the room; both members get one event for each member.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "UserJoined".
 */
export interface UserJoined {
  /**
   * English text for people; programs use `code`
   */
  message: string;
  /**
   * Public id of a guest
   */
  userId: string;
  username: string;
}
/**
 * The partner ended the conversation.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "UserLeft".
 */
export interface UserLeft {
  /**
   * English text for people; programs use `code`
   */
  message: string;
  /**
   * Seconds in which the partner may come back, by chat:undo
   */
  undo?: number;
  /**
   * Public id of a guest
   */
  userId: string;
  username: string;
}
/**
 * What a moderator has decided about the guest: a warning, or that the session or more is over.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Told".
 */
export interface Told {
  /**
   * Of a ban, for POST /api/appeals
   */
  appealCode?: string;
  /**
   * After `session_ended` and `banned`, the connection is closed
   */
  kind: 'banned' | 'session_ended' | 'warning';
  rule: 'hate' | 'other' | 'private_data' | 'sexual' | 'spam' | 'threats' | 'under_age';
  /**
   * See BanNotice: it may be about somebody else
   */
  shared?: boolean;
  /**
   * Of a ban; left out: it does not end by itself
   */
  until?: string;
  /**
   * The reason, written by a moderator; empty if `shared`
   */
  words: string;
}
/**
 * A new token, sent some time before the old one expires (RENEW_BEFORE, by default half an hour).
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SessionRenewed".
 */
export interface SessionRenewed {
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  expiresAt: string;
  token: string;
}
/**
 * What a one-time set-up link shows.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SetUp".
 */
export interface SetUp {
  name: string;
  /**
   * The URI as a QR code, SVG as a data: URL
   */
  picture: string;
  /**
   * For an authenticator app, Base32
   */
  secret: string;
  /**
   * otpauth://…
   */
  uri: string;
}
/**
 * Counts of this process's connections.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SocketStats".
 */
export interface SocketStats {
  connections: number;
  guests: number;
  polling: number;
  redis?: RedisStats1;
  rooms: number;
  waiting: number;
  websocket: number;
}
/**
 * Absent if `REDIS_URL` is not set
 */
export interface RedisStats1 {
  /**
   * How often Redis was lost
   */
  degraded: number;
  /**
   * How often Redis had everything
   */
  normal: number;
  /**
   * How often everything was written again
   */
  resync: number;
  /**
   * off: `REDIS_URL` is not set. normal: Redis has everything. resync: it is in use, and is given what it lacks. degraded: it cannot be used, and the memory of the process goes on alone
   */
  state: 'degraded' | 'normal' | 'off' | 'resync';
  /**
   * Messages that were acknowledged while Redis did not have them
   */
  unlogged: number;
}
/**
 * The live counts and a bounded sample of online guests.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "StatsData".
 */
export interface StatsData {
  onlineUsers: OnlineUser[];
  stats: Stats;
  /**
   * ISO 8601 UTC with milliseconds and Z
   */
  timestamp: string;
}
/**
 * A text to tell a guest, by rule and action, in the guest's language.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Template".
 */
export interface Template {
  action: 'ban' | 'dismiss' | 'end_session' | 'escalate' | 'hold' | 'note' | 'release' | 'warn';
  language: string;
  rule: 'hate' | 'other' | 'private_data' | 'sexual' | 'spam' | 'threats' | 'under_age';
  words: string;
}
/**
 * Body of POST /api/guest/location: omitted fields are unchanged, null clears a field.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "TraitsUpdate".
 */
export interface TraitsUpdate {
  gender?: string | null;
  language?: string | null;
  location?: string | LegacyLocation | null;
}
/**
 * A random username, in the AdjectiveNounNumber pattern.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "UsernameData".
 */
export interface UsernameData {
  username: string;
}
/**
 * What the partner should have told of themselves. The operator may have disabled each.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Wants".
 */
export interface Wants1 {
  gender?: string | null;
  location?: string | null;
}
