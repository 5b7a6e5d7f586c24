// Made by `npm run types` from schema.json: change the server’s events instead.

/**
 * Stable, for programs and translations: every error, refusal of a handshake and reason of a closing has one.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Code".
 */
export type Code =
  | 'already_in_room'
  | 'already_upgraded'
  | 'backlog_overflow'
  | 'bad_method'
  | 'bad_request'
  | 'call_active'
  | 'client_disconnect'
  | 'connect_timeout'
  | 'connection_unknown'
  | 'duplicate_poll'
  | 'duration_invalid'
  | 'extension_not_agreed'
  | 'file_empty'
  | 'file_missing'
  | 'file_not_found'
  | 'file_too_large'
  | 'fragments_out_of_order'
  | 'guest_storage_full'
  | 'http_error'
  | 'internal'
  | 'invalid_payload'
  | 'link_invalid'
  | 'message_too_big'
  | 'method_not_allowed'
  | 'no_call'
  | 'no_offer'
  | 'not_audio'
  | 'not_found'
  | 'not_in_room'
  | 'not_searching'
  | 'not_your_room'
  | 'origin_forbidden'
  | 'outbox_overflow'
  | 'parse_error'
  | 'picture_too_large'
  | 'ping_timeout'
  | 'protocol_unsupported'
  | 'rate_limited'
  | 'replaced'
  | 'request_timeout'
  | 'room_closed'
  | 'room_storage_full'
  | 'server_disconnect'
  | 'server_error'
  | 'server_shutting_down'
  | 'session_ended'
  | 'session_not_found'
  | 'stalled'
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
  | 'too_many_packets'
  | 'transport_close'
  | 'transport_error'
  | 'transport_unknown'
  | 'unavailable'
  | 'unsupported_media_type'
  | 'unsupported_type'
  | 'upgrade_not_completed'
  | 'upload_malformed'
  | 'upload_timeout';

export interface Wire {}
/**
 * The partner takes the call, or answers a new negotiation.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Answer".
 */
export interface Answer {
  answer: SessionDescription;
  /**
   * One call; signals that name another one go nowhere
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
 * The handshake's `auth`.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Auth".
 */
export interface Auth {
  resume?: Resume | null;
  token?: string | null;
}
/**
 * `auth.resume`: the last thing the client saw of a room, so that only what is missing is replayed.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Resume".
 */
export interface Resume {
  epoch: number;
  roomId: string;
  /**
   * Highest seq up to which the client has every message; 0 for none
   */
  seq: number;
}
/**
 * The call is over.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "CallEnded".
 */
export interface CallEnded {
  /**
   * One call; signals that name another one go nowhere
   */
  callId: string;
  /**
   * Public id of a guest
   */
  from: string;
  fromUsername: string;
}
/**
 * A signal was refused; it has not reached the partner.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "CallError".
 */
export interface CallError {
  code: Code;
  /**
   * For people, in English; programs read `code`
   */
  message: string;
  /**
   * Seconds to wait
   */
  retryAfter?: number;
}
/**
 * The partner does not take the call.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "CallRejected".
 */
export interface CallRejected {
  /**
   * One call; signals that name another one go nowhere
   */
  callId: string;
  /**
   * Public id of a guest
   */
  from: string;
  fromUsername: string;
}
/**
 * The call was not taken in time; both sides are told.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "CallTimedOut".
 */
export interface CallTimedOut {
  /**
   * One call; signals that name another one go nowhere
   */
  callId: string;
  /**
   * Public id of a guest
   */
  from: string;
  fromUsername: string;
}
/**
 * A way to reach the partner; null when there are no more.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Candidate".
 */
export interface Candidate {
  /**
   * One call; signals that name another one go nowhere
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
 * End the conversation. Always answered by chat:clear:confirmed.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ChatClear".
 */
export interface ChatClear {}
/**
 * The guest's own wish to leave is done; also when there was nothing to leave.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ChatClearConfirmed".
 */
export interface ChatClearConfirmed {
  /**
   * For people, in English; programs read `code`
   */
  message: string;
}
/**
 * The conversation is gone, with everything in it.
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
 * A chat event was refused. `client_id` names the message, when it had one.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ChatError".
 */
export interface ChatError {
  clientId?: string;
  code: Code;
  /**
   * For people, in English; programs read `code`
   */
  message: string;
  /**
   * Seconds to wait
   */
  retryAfter?: number;
}
/**
 * Payload by event name
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ClientToServer".
 */
export interface ClientToServer {
  'chat:clear': ChatClear;
  'chat:message': SendMessage;
  'chat:message:delivered': ConfirmDelivery;
  'chat:typing:start': TypingStart;
  'chat:typing:stop': TypingStop;
  'close-room': CloseRoom;
  'get:stats': GetStats;
  'leave-room': LeaveRoom;
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
   * text: 1-1000 characters as a person counts them, not blank; newline and tab are allowed. file, voice: what the upload has answered, or of it at least `fileId`; fields that the server does not know pass to the partner, up to 2 KiB
   */
  content:
    | string
    | {
        [k: string]: unknown;
      };
  type: 'file' | 'text' | 'voice';
}
/**
 * The recipient's client has the message (and every one before it). Forwarded to its author.
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
 * End the conversation: another name for chat:clear.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "CloseRoom".
 */
export interface CloseRoom {}
/**
 * Ask for the statistics now. Answered by realtime:stats.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "GetStats".
 */
export interface GetStats {}
/**
 * End the conversation: another name for chat:clear.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "LeaveRoom".
 */
export interface LeaveRoom {}
/**
 * Look for a passer-by. Answered by user:match:searching and, sooner or later, user:matched.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MatchRequest".
 */
export interface MatchRequest {}
/**
 * Stop looking. Answered by user:match:cancelled or user:match:cancel:error.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MatchCancel".
 */
export interface MatchCancel {}
/**
 * Take the call; or answer a new negotiation.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SendAnswer".
 */
export interface SendAnswer {
  answer: SessionDescription;
  callId?: string | null;
  /**
   * This guest's choice: nothing but relayed candidates of theirs passes, from now on
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
 * Do not take the call.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "RejectCall".
 */
export interface RejectCall {
  callId?: string | null;
}
/**
 * Nobody took the call in time, says the client; the server has a clock of its own.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "GiveUpCall".
 */
export interface GiveUpCall {
  callId?: string | null;
}
/**
 * Sound or pictures flow: the call is active.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ReportConnected".
 */
export interface ReportConnected {
  /**
   * One call; signals that name another one go nowhere
   */
  callId: string;
}
/**
 * A way to reach this guest; null when there are no more.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SendCandidate".
 */
export interface SendCandidate {
  callId?: string | null;
  candidate: IceCandidate | null;
}
/**
 * The page goes: closed, or about to be loaded again. Unless the guest is back soon, the call is over.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ReportLeaving".
 */
export interface ReportLeaving {
  /**
   * One call; signals that name another one go nowhere
   */
  callId: string;
}
/**
 * Call the partner; or within a call, negotiate anew (more media, an ICE restart).
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SendOffer".
 */
export interface SendOffer {
  callId?: string | null;
  offer: SessionDescription;
  /**
   * This guest's choice: nothing but relayed candidates of theirs passes, from now on
   */
  relayOnly?: boolean;
  type: 'audio' | 'video';
}
/**
 * Why the server is about to close this connection for good; the client should not come back by itself.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ConnectionClosing".
 */
export interface ConnectionClosing {
  code: Code;
  /**
   * For people, in English; programs read `code`
   */
  message: string;
}
/**
 * The first event after connecting.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ConnectionEstablished".
 */
export interface ConnectionEstablished {
  isGuest: boolean;
  limits: Limits;
  room: RoomSummary | null;
  /**
   * Secret to its owner: never sent to anybody else, and opens nothing by itself
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
 * What a client has to keep to; all are settings. Told when it connects, and by `GET /api/limits`.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Limits".
 */
export interface Limits {
  /**
   * Seconds that a file can be fetched, at most
   */
  fileLifetime: number;
  /**
   * Bytes of one file
   */
  fileSize: number;
  /**
   * Files that a client offers to send at once
   */
  filesPerMessage: number;
  /**
   * Seconds to come back in after a lost connection
   */
  grace: number;
  /**
   * Bytes of all files of one guest in a conversation
   */
  guestFilesSize: number;
  /**
   * Width times height of a picture
   */
  picturePixels: number;
  /**
   * MIME types of the pictures that are taken
   */
  pictureTypes: string[];
  /**
   * Seconds that a call rings
   */
  ringTimeout: number;
  /**
   * Bytes of all files of a conversation
   */
  roomFilesSize: number;
  /**
   * Characters of a text message, as a person counts them
   */
  textLength: number;
  /**
   * Seconds of a voice note
   */
  voiceDuration: number;
}
/**
 * The room a guest is in, told when they connect.
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
 * What one passer-by learns of the other.
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
 * The envelope of every error.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Failure".
 */
export interface Failure {
  code: Code;
  errors?: FieldError[];
  message: string;
  retryAfter?: number;
  success: boolean;
}
/**
 * What is wrong with one field of the body.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "FieldError".
 */
export interface FieldError {
  field: string;
  message: string;
}
/**
 * A file as its two people see it: the upload's answer, and the content of `file` and `voice` messages.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "FileInfo".
 */
export interface FileInfo {
  /**
   * As fileUrl, but always as an attachment
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
   * Unguessable, and worthless without a signed link
   */
  fileId: string;
  /**
   * Bytes, as stored: pictures lose their metadata
   */
  fileSize: number;
  fileType: 'audio' | 'document' | 'image' | 'video';
  fileTypeCategory: 'audio' | 'document' | 'image' | 'video';
  /**
   * Path with all that is needed to fetch the bytes; works until the file expires or the room closes
   */
  fileUrl: string;
  filename: string;
  /**
   * Pixels
   */
  height?: number;
  isImage: boolean;
  /**
   * What the bytes say, not what the sender says
   */
  mimeType: string;
  /**
   * Path with all that is needed to fetch the bytes; works until the file expires or the room closes
   */
  tempUrl: string;
  /**
   * Pixels
   */
  width?: number;
}
/**
 * A new session and the token that opens it.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "GuestCreated".
 */
export interface GuestCreated {
  token: string;
  user: GuestUser;
}
/**
 * A guest as told to themselves.
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
   * Secret to its owner: never sent to anybody else, and opens nothing by itself
   */
  sessionId: string;
  username: string;
}
/**
 * The guest who asks.
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
  status: string;
  uptime: number;
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
 * What a client makes its RTCPeerConnection with.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "IceServers".
 */
export interface IceServers {
  iceServers: IceServer[];
  /**
   * relay: the operator wants no guest's address to be told
   */
  iceTransportPolicy: 'all' | 'relay';
  /**
   * Seconds that the credentials last; ask again before a later call
   */
  ttl: number;
}
/**
 * How old clients send a location; stored as one string, `city, country`.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "LegacyLocation".
 */
export interface LegacyLocation {
  city?: string | null;
  country?: string | null;
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
   * For people, in English; programs read `code`
   */
  message: string;
  /**
   * Seconds to wait
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
   * For people, in English; programs read `code`
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
   * For people, in English; programs read `code`
   */
  message: string;
  /**
   * Seconds to wait
   */
  retryAfter?: number;
}
/**
 * Nobody else is waiting yet; the search goes on.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MatchNoUsers".
 */
export interface MatchNoUsers {
  /**
   * For people, in English; programs read `code`
   */
  message: string;
}
/**
 * The guest waits for a match.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MatchSearching".
 */
export interface MatchSearching {
  /**
   * For people, in English; programs read `code`
   */
  message: string;
}
/**
 * Both sides get this with the other's view: the conversation is open.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Matched".
 */
export interface Matched {
  epoch: number;
  matchedUser: Partner;
  /**
   * The two guest ids, sorted, joined by `_`
   */
  roomId: string;
}
/**
 * One message of a conversation, as logged and as sent to the partner.
 *
 *     `seq` numbers the messages of a room from 1 without holes; both members' messages share it.
 *     Nothing in it can refer back to it, so the garbage collector need not look (`gc=False`).
 *     `client_id` comes back to the sender on resume, so that their client knows its own message again.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Message".
 */
export interface Message {
  /**
   * Chosen by the sender: the same one again is the same message, delivered once
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
 * To the recipient: follows the message. To the author: the recipient's client has it (and all before it).
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
 * Accepted and logged.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MessageSent".
 */
export interface MessageSent {
  /**
   * Chosen by the sender: the same one again is the same message, delivered once
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
 * Body of POST /api/guest; everything is optional.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "NewGuest".
 */
export interface NewGuest {
  gender?: string | null;
  language?: string | null;
  location?: string | LegacyLocation | null;
  username?: string | null;
}
/**
 * The partner calls, or negotiates anew within the call.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Offer".
 */
export interface Offer {
  /**
   * One call; signals that name another one go nowhere
   */
  callId: string;
  /**
   * Public id of a guest
   */
  from: string;
  fromUsername: string;
  offer: SessionDescription;
  /**
   * Which side gives way when both negotiate at once (perfect negotiation)
   */
  polite: boolean;
  type: 'audio' | 'video';
}
/**
 * The public view of a guest: what anybody may see. Holds no session id.
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
 * A bounded sample of who is online; `count` is of all of them.
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
 * The partner lost the connection; messages wait for them for `grace` seconds.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "PartnerAway".
 */
export interface PartnerAway {
  /**
   * Seconds left for the partner to come back
   */
  grace: number;
  /**
   * For people, in English; programs read `code`
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
   * For people, in English; programs read `code`
   */
  message: string;
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
 * Live counts and a bounded sample of who is online. Sent on change, at most once a second.
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
 * The live counts. `connected_users` is pairs: guests in a room ÷ 2.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Stats".
 */
export interface Stats {
  /**
   * Connected guests, by the nodes' shared counters
   */
  activeUsers: number;
  /**
   * Online guests who are in no room
   */
  availableUsers: number;
  /**
   * Pairs in a room, a member in the grace window included
   */
  connectedUsers: number;
  /**
   * Guests with a live connection
   */
  onlineUsers: number;
  /**
   * Sessions alive, connected or not
   */
  totalUsers: number;
}
/**
 * To the caller: the call has begun, and this is its id.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Ringing".
 */
export interface Ringing {
  /**
   * One call; signals that name another one go nowhere
   */
  callId: string;
  /**
   * Which side gives way when both negotiate at once (perfect negotiation)
   */
  polite: boolean;
  /**
   * Seconds until the server gives up
   */
  timeout: number;
  type: 'audio' | 'video';
}
/**
 * The conversation ended without a farewell.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "RoomClosed".
 */
export interface RoomClosed {
  /**
   * For people, in English; programs read `code`
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
 * One of the recipient's own messages that never reached the partner.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Undelivered".
 */
export interface Undelivered {
  /**
   * Chosen by the sender: the same one again is the same message, delivered once
   */
  clientId?: string;
  /**
   * msg_<epoch ms>_<random>
   */
  messageId: string;
}
/**
 * Follows connection:established for a guest who came back; the missing chat:messages follow in order.
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
   * Messages missing that the log no longer holds
   */
  gap: number;
  partner: Partner;
  partnerAway: boolean;
  /**
   * The two guest ids, sorted, joined by `_`
   */
  roomId: string;
  /**
   * Highest seq of the room now
   */
  seq: number;
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
  'connection:closing': ConnectionClosing;
  'connection:established': ConnectionEstablished;
  'get:stats:error': StatsError;
  'realtime:stats': RealtimeStats;
  'room:closed': RoomClosed;
  'room:partner_away': PartnerAway;
  'room:partner_back': PartnerBack;
  'room:resumed': RoomResumed;
  'room:user_joined': UserJoined;
  'room:user_left': UserLeft;
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
 * The statistics could not be given.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "StatsError".
 */
export interface StatsError {
  code: Code;
  /**
   * For people, in English; programs read `code`
   */
  message: string;
  /**
   * Seconds to wait
   */
  retryAfter?: number;
}
/**
 * One of the two is in the room; both get one for each.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "UserJoined".
 */
export interface UserJoined {
  /**
   * For people, in English; programs read `code`
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
   * For people, in English; programs read `code`
   */
  message: string;
  /**
   * Public id of a guest
   */
  userId: string;
  username: string;
}
/**
 * A fresh token, half an hour before the old one ends.
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
 * Counts of this process's connections.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SocketStats".
 */
export interface SocketStats {
  connections: number;
  guests: number;
  polling: number;
  rooms: number;
  waiting: number;
  websocket: number;
}
/**
 * The live counts and a bounded sample of who is online.
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
 * Body of POST /api/guest/location: a field left out stays, null empties it.
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
 * A fresh random name, in the AdjectiveNounNumber pattern.
 *
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "UsernameData".
 */
export interface UsernameData {
  username: string;
}
