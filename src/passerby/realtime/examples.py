"""An example of every event, for the AsyncAPI document: values of the events' own types, so no name can be wrong.

Two guests talk: BrightRaven3598, whose client is seen, and GentleBear7107.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.json import encode

from passerby.calls import events as calls
from passerby.chat import events as chat
from passerby.errors import Code
from passerby.guests import events as guests
from passerby.matching import events as matching
from passerby.models import (
    FileInfo,
    Limits,
    MatchingLimits,
    Message,
    OnlineUser,
    Partner,
    RoomSummary,
    Stats,
)
from passerby.safety import events as safety
from passerby.stats import events as stats

if TYPE_CHECKING:
    from passerby.events import Event

ME: Final = "guest_748f0725838e4485c2f7"
MY_NAME: Final = "BrightRaven3598"
SESSION: Final = "JPPyr6HpSmX359fQ2HnuYmA4KmUXsgSn"
TOKEN: Final = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIuLi4ifQ.c2lnbmF0dXJl"  # noqa: S105 - opens nothing
NOW: Final = "2023-12-07T10:30:00.123Z"
LATER: Final = "2023-12-07T11:30:00.123Z"
PARTNER: Final = Partner(
    id="guest_5992b3d83589e063c51d",
    username="GentleBear7107",
    is_guest=True,
    location="Delft, NL",
    gender=None,
    language="nl",
)
ROOM: Final = f"{PARTNER.id}_{ME}"
EPOCH: Final = 1795363957354
MESSAGE: Final = "msg_1701945000123_c8647f20864d"
CLIENT_ID: Final = "5f0c2a9e"
CALL: Final = "call_1f6a0c2b9d"
FILE: Final = "file_Zt3Vn0hGqk5wXo2RrJdE9sLb"
_LINK: Final = f"/api/temp-files/temp/{FILE}?expires=1701948600&signature=c2lnbmVk"
FILE_INFO: Final = FileInfo(
    file_id=FILE,
    filename="café.jpg",
    file_type="image",
    mime_type="image/jpeg",
    file_size=20481,
    file_url=_LINK,
    temp_url=_LINK,
    download_url=_LINK.replace("/temp/", "/download/"),
    is_image=True,
    file_type_category="image",
    expires_at=LATER,
    width=1600,
    height=1200,
)
LIMITS: Final = Limits(
    text_length=1000,
    file_size=10_485_760,
    room_files_size=52_428_800,
    guest_files_size=41_943_040,
    files_per_message=20,
    file_lifetime=3600.0,
    voice_duration=300.0,
    picture_types=["image/jpeg", "image/png", "image/webp", "image/gif"],
    picture_pixels=64_000_000,
    ring_timeout=30.0,
    grace=20.0,
    undo=5.0,
    matching=MatchingLimits(interests=5, interest_length=40, languages=3, wants=["gender", "location"], only=True),
    consent=["links", "pictures", "files", "voice", "audio", "video"],
)
COUNTS: Final = Stats(total_users=12, online_users=9, active_users=9, available_users=3, connected_users=3)
ONLINE: Final = OnlineUser(
    id=ME,
    username=MY_NAME,
    is_online=True,
    is_searching=False,
    last_seen=NOW,
    location=None,
    gender=None,
    language="en",
    is_guest=True,
)
_RESUME: Final = chat.Resume(room_id=ROOM, epoch=EPOCH, seq=5)
_SDP: Final = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
_OFFER: Final = calls.SessionDescription(type="offer", sdp=_SDP)
_ANSWER: Final = calls.SessionDescription(type="answer", sdp=_SDP)
_CANDIDATE: Final = calls.IceCandidate(
    candidate="candidate:1 1 udp 2130706431 203.0.113.7 54321 typ host", sdp_mid="0", sdp_m_line_index=0
)
_SLOWER: Final = "Too many requests, slow down"
_PARTNER_IS: Final = {"user_id": PARTNER.id, "username": PARTNER.username}
_PARTNER_SAYS: Final = {"from_": PARTNER.id, "call_id": CALL, "from_username": PARTNER.username}

_EXAMPLES: Final[tuple[Event | Message, ...]] = (
    # ── client to server ──
    matching.MatchRequest(
        interests=["Música", "chess"], languages=["pt-BR", "en"], wants=matching.Wants(location="Lisboa")
    ),
    matching.MatchCancel(),
    chat.SendMessage(type="text", content="Hello!", client_id=CLIENT_ID),
    chat.ConfirmDelivery(message_id=MESSAGE),
    chat.TypingStart(),
    chat.TypingStop(),
    chat.ChatClear(undo=True),
    chat.ChatUndo(resume=_RESUME),
    chat.LeaveRoom(),
    chat.CloseRoom(),
    stats.GetStats(),
    calls.SendOffer(offer=_OFFER, type="video"),
    calls.SendAnswer(answer=_ANSWER, call_id=CALL),
    calls.SendCandidate(candidate=_CANDIDATE, call_id=CALL),
    calls.EndCall(call_id=CALL),
    calls.RejectCall(call_id=CALL),
    calls.GiveUpCall(call_id=CALL),
    calls.ReportConnected(call_id=CALL),
    calls.ReportLeaving(call_id=CALL),
    safety.AnswerConsent(step="pictures", allowed=True, user_id=PARTNER.id),
    safety.OpenConsent(steps=["links", "voice"]),
    safety.Block(),
    safety.Report(reason="threats", messages=[MESSAGE], words="He wants my address", epoch=EPOCH),
    # ── server to client ──
    guests.ConnectionEstablished(
        user_id=ME,
        username=MY_NAME,
        socket_id="ZDOeAMwJiGV__fRxlAh6",
        is_guest=True,
        session_id=SESSION,
        room=RoomSummary(ROOM, EPOCH, 5, PARTNER),
        limits=LIMITS,
    ),
    guests.ConnectionClosing(code=Code.REPLACED, message="You are connected from another place now"),
    guests.SessionRenewed(token=TOKEN, expires_at=LATER),
    stats.RealtimeStats(stats=COUNTS, online_users=[ONLINE], timestamp=NOW),
    stats.StatsError(message=_SLOWER, code=Code.RATE_LIMITED, retry_after=0.198),
    matching.MatchSearching(
        message="Looking for someone who shares your interests",
        stage="interests",
        waiting=12,
        elapsed=0.0,
        usual_wait=7.5,
    ),
    matching.MatchNoUsers(message="Nobody who fits is waiting right now; the search goes on"),
    matching.MatchCancelled(message="The search has ended"),
    matching.MatchError(message="Too many interests", code=Code.TOO_MANY_INTERESTS, field="interests"),
    matching.MatchCancelError(message="There is no search", code=Code.NOT_SEARCHING),
    chat.Matched(
        matched_user=PARTNER, room_id=ROOM, epoch=EPOCH, shared=chat.Shared(interests=["Música"], language="pt")
    ),
    chat.UserJoined(**_PARTNER_IS, message="GentleBear7107 is here"),
    chat.UserLeft(**_PARTNER_IS, message="GentleBear7107 has left", undo=5.0),
    chat.PartnerAway(**_PARTNER_IS, message="GentleBear7107 lost the connection; messages will wait", grace=20.0),
    chat.PartnerBack(user_id=PARTNER.id, username=PARTNER.username, message="GentleBear7107 is back"),
    chat.RoomResumed(room_id=ROOM, epoch=EPOCH, seq=5, partner=PARTNER, partner_away=False, delivered=4, gap=0),
    chat.RoomClosed(
        **_PARTNER_IS,
        message="GentleBear7107 did not come back",
        reason="user_disconnected",
        undelivered=[chat.Undelivered(message_id=MESSAGE, client_id=CLIENT_ID)],
    ),
    Message(
        id=MESSAGE,
        sender_id=PARTNER.id,
        sender_username=PARTNER.username,
        type="text",
        content="Hello!",
        timestamp=NOW,
        status="sent",
        seq=1,
        client_id=CLIENT_ID,
    ),
    chat.MessageSent(message_id=MESSAGE, timestamp=NOW, status="sent", seq=1, client_id=CLIENT_ID),
    chat.MessageDelivered(message_id=MESSAGE, timestamp=NOW),
    chat.ChatError(message=_SLOWER, code=Code.RATE_LIMITED, retry_after=0.198, client_id=CLIENT_ID),
    chat.ChatCleared(**_PARTNER_IS, reason="user_left"),
    chat.ChatClearConfirmed(message="You have left the conversation", undo=5.0),
    chat.RoomRestored(
        **_PARTNER_IS, room_id=ROOM, epoch=EPOCH, seq=5, partner=PARTNER, message="GentleBear7107 is back"
    ),
    chat.UndoError(message="The conversation cannot be brought back", code=Code.UNDO_IMPOSSIBLE),
    chat.TypingStarted(**_PARTNER_IS),
    chat.TypingStopped(**_PARTNER_IS),
    calls.Ringing(call_id=CALL, type="video", timeout=30.0, polite=False),
    calls.Offer(**_PARTNER_SAYS, offer=_OFFER, type="video", polite=True),
    calls.Answer(**_PARTNER_SAYS, answer=_ANSWER),
    calls.Candidate(from_=PARTNER.id, call_id=CALL, candidate=_CANDIDATE),
    calls.CallEnded(**_PARTNER_SAYS),
    calls.CallRejected(**_PARTNER_SAYS),
    calls.CallTimedOut(**_PARTNER_SAYS),
    calls.CallError(message="There is no call", code=Code.NO_CALL),
    safety.ConsentAsked(**_PARTNER_IS, step="pictures"),
    safety.ConsentWithdrawn(**_PARTNER_IS, step="video"),
    safety.ConsentWaiting(step="pictures", client_id=CLIENT_ID),
    safety.ConsentAnswered(**_PARTNER_IS, step="pictures", allowed=True),
    safety.ConsentError(message="You are in no conversation", code=Code.NOT_IN_ROOM),
    safety.Reported(receipt="GEZDG-NBVGY-3TQOJ-QGEZD-GNBVG-Y", queued=False, has_messages=True),
    safety.ReportError(message="There is no conversation to report", code=Code.NOTHING_TO_REPORT),
    safety.Told(
        kind="banned",
        rule="hate",
        words="You have insulted somebody.",
        until="2026-03-01T10:00:00.000Z",
        appeal_code="GEZDG-NBVGY-3TQOJ-QGEZD-GNBVG-Y",
    ),
)
EXAMPLES: Final = {type(example): example for example in _EXAMPLES}
"""By the type of the event."""


def encoded(event: type[Event | Message]) -> bytes:
    """Return the example of an event as it is on the wire: its one argument, as JSON."""
    return encode(EXAMPLES[event])
