/** Every word of the page in German, as among friends. Before `…` a space that does not break the line. */
import type { CallKind, CallRecord } from '../chat/call';
import type { Words } from './en';
import type { Formats } from './formats';

const german = (f: Formats): Words => {
  const failed = 'Auf dem Server ist etwas schiefgegangen. Versuch es gleich noch einmal.';
  const brokenOff = 'Die Verbindung ist abgebrochen.';
  const misunderstood = 'Dieser Browser und der Server verstehen sich nicht.';
  const sessionEnded = 'Deine Sitzung ist abgelaufen.';
  const kinds: Record<CallKind, string> = { audio: 'Sprachanruf', video: 'Videoanruf' };
  const who = ({ outgoing }: CallRecord, name: string): string =>
    outgoing ? 'von dir' : `von ${name}`;

  return {
    lang: 'de',
    dir: 'ltr',
    brand: 'Passerby',
    language: {
      label: 'Sprache',
      failed: 'Diese Sprache lässt sich gerade nicht laden.',
    },
    connection: {
      connecting: 'Verbinden\u00a0…',
      connected: 'Verbunden',
      reconnecting: 'Neu verbinden\u00a0…',
      offline: 'Offline',
      stopped: 'Nicht verbunden',
      waits: 'Was du schreibst, geht raus, sobald die Verbindung wieder da ist.',
    },
    start: {
      title: 'Sag Hallo im Vorbeigehen.',
      lede: 'Ein fremder Mensch, ein Gespräch. Ohne Anmeldung, und wenn ihr auseinandergeht, bleibt nichts zurück.',
      name: 'Dein Name für heute',
      nameHint: (least, most) => `${f.number(least)}–${f.number(most)} Buchstaben, Ziffern oder _`,
      nameProblem: {
        short: (least) => `Bitte mindestens ${f.number(least)} Zeichen.`,
        long: (_, most) => `Bitte höchstens ${f.number(most)} Zeichen.`,
        characters: () => 'Bitte nur Buchstaben A–Z, Ziffern und _.',
      },
      nameRefused: 'Diesen Namen nimmt der Server nicht an.',
      shuffle: 'Anderer Name',
      button: 'Los geht’s',
      starting: 'Gleich geht’s los\u00a0…',
      opensIn: (seconds) => `Öffnet in ${f.clock(seconds)}`,
      opensAt: (at, now) =>
        `Hier trifft man sich zu bestimmten Zeiten. Das nächste Mal: ${f.moment(at, now)}.`,
      opened: 'Es ist geöffnet. Du kannst jetzt loslegen.',
    },
    meet: {
      interests: 'Was magst du?',
      interestsHint: 'Wenn du möchtest. Enter fügt hinzu.',
      interestsExample: 'Musik, Nachtzüge\u00a0…',
      chosen: 'Deine Interessen',
      remove: (interest) => `${interest} entfernen`,
      added: (interest) => `${interest} ist dabei.`,
      removed: (interest) => `${interest} ist entfernt.`,
      suggestions: 'Andere mögen',
      add: (interest) => `${interest} hinzufügen`,
      problem: {
        many: ({ interests }) =>
          f.plural(interests, {
            one: 'Höchstens # Interesse. Entferne es, um ein anderes hinzuzufügen.',
            other: 'Höchstens # Interessen. Entferne eins, um ein anderes hinzuzufügen.',
          }),
        long: ({ interestLength }) =>
          `Bitte höchstens ${f.number(interestLength)} Zeichen für ein Interesse.`,
        repeated: () => 'Das hast du schon.',
        unusable: () => 'Bitte Buchstaben, Ziffern oder Emoji, ohne < und >.',
      },
      more: (mode, languages) =>
        [
          { text: 'Schriftlich', audio: 'Mit Ton', video: 'Mit Video' }[mode],
          languages.length > 0 ? f.all(languages.map(f.language)) : 'jede Sprache',
        ].join(' · '),
      mode: 'Wie möchtest du dich unterhalten?',
      modes: { text: 'Text', audio: 'Audio', video: 'Video' },
      languages: 'Sprachen, die du sprichst',
      languagesMost: (most) =>
        f.plural(most, { one: 'Höchstens # Sprache.', other: 'Höchstens # Sprachen.' }),
      only: 'Nur jemand, der passt, egal wie lange es dauert',
    },
    counts: {
      online: (count) =>
        f.plural(count, { one: '# anderer Mensch hier', other: '# andere Menschen hier' }),
      alone: 'Gerade ist sonst niemand hier',
      talking: (pairs) => f.plural(pairs, { one: '# Gespräch', other: '# Gespräche' }),
    },
    search: {
      title: 'Mal sehen, wer vorbeikommt\u00a0…',
      calm: 'Das dauert meist nur einen Moment.',
      nobody:
        'Gerade sucht sonst niemand. Bleib noch ein wenig: Wer als Nächstes kommt, trifft auf dich.',
      stage: {
        interests: (interests) => `Gesucht wird jemand, der ${f.either(interests)} mag\u00a0…`,
        language: (_, languages) =>
          languages.length > 0
            ? `Gesucht wird jemand, der ${f.either(languages.map(f.language))} spricht\u00a0…`
            : 'Gesucht wird jemand, der deine Sprache spricht\u00a0…',
        anyone: () => 'Gesucht wird, wer auch immer vorbeikommt\u00a0…',
        again: () =>
          'Gesucht wird, wer auch immer vorbeikommt, vielleicht jemand, den du schon getroffen hast\u00a0…',
      },
      elapsed: (seconds) => `Suche seit ${f.span(seconds)}`,
      others: (count) =>
        f.plural(count, { one: '# anderer Mensch sucht', other: '# andere Menschen suchen' }),
      usual: (seconds) => `Um diese Zeit dauert das meist etwa ${f.about(seconds)}.`,
      left: (name) => `Du hast das Gespräch mit ${name} verlassen.`,
      undo: 'Rückgängig',
      undoing: 'Es geht zurück\u00a0…',
      undoFor: (seconds) =>
        f.plural(seconds, {
          one: 'Du kannst das # Sekunde lang rückgängig machen.',
          other: 'Du kannst das # Sekunden lang rückgängig machen.',
        }),
      cancel: 'Abbrechen',
      alerts: 'Bescheid geben, wenn jemand kommt',
    },
    conversation: {
      region: (name) => `Gespräch mit ${name}`,
      about: (name) => `Über ${name}, und Töne`,
      log: 'Nachrichten',
      met: (name) => `Du und ${name} seid euch gerade begegnet. Sag Hallo.`,
      metBefore: (name) => `Du und ${name}, ihr seid euch schon begegnet. Sag noch einmal Hallo.`,
      began: (name) => `Du sprichst mit ${name}.`,
      back: (name) => `${name} ist wieder da. Das Gespräch geht weiter.`,
      shared: (interests, language) => {
        if (language === null) return `Ihr mögt beide ${f.all(interests)}.`;
        const speak = `sprecht beide ${f.language(language)}`;
        if (interests.length === 0) return `Ihr ${speak}.`;
        return `Ihr mögt beide ${f.all(interests)}, und ihr ${speak}.`;
      },
      topic: 'Etwas für den Anfang',
      topicUse: 'Übernehmen',
      callOffer: {
        audio: 'Ihr möchtet beide miteinander sprechen. Ruf an, wenn du so weit bist.',
        video: 'Ihr möchtet euch beide sehen. Ruf an, wenn du so weit bist.',
      },
      restoring: 'Dein Gespräch wird zurückgeholt\u00a0…',
      author: (name) => `${name ?? 'Du'}:`,
      typing: (name) => `${name} schreibt\u00a0…`,
      away: (name) =>
        `${name} hat die Verbindung verloren. Was du schreibst, bleibt noch eine Weile liegen.`,
      reloaded: (name) => `${name} hat die Seite neu geladen.`,
      gap: (count) =>
        f.plural(count, {
          one: '# frühere Nachricht ist nicht mehr verfügbar.',
          other: '# frühere Nachrichten sind nicht mehr verfügbar.',
        }),
      unknownType: 'Nachrichten dieser Art lassen sich hier nicht anzeigen.',
      state: {
        sending: 'Wird gesendet',
        asking: 'Wartet auf Erlaubnis',
        sent: 'Gesendet',
        delivered: 'Zugestellt',
        failed: 'Nicht gesendet',
        undelivered: 'Nicht zugestellt',
        received: '',
      },
      failed: (why) => `Nicht gesendet. ${why}`,
      retry: 'Noch einmal',
      unseen: (count) => f.plural(count, { one: '# neue Nachricht', other: '# neue Nachrichten' }),
      next: 'Weiter',
      leave: 'Gehen',
      report: 'Melden',
      reports: 'Meine Meldungen',
      block: 'Blockieren',
      blockAsk: (name) => `${name} blockieren? Du gehst, und ihr begegnet euch nicht wieder.`,
      blockNot: 'Weiterreden',
      blocked: (name) => `Du wirst ${name} nicht wieder begegnen.`,
      escapeHint: 'Noch einmal Escape, und du gehst weiter zu jemand Neuem.',
      ended: {
        left: (name) => `${name} ist weitergezogen.`,
        disconnected: (name) => `${name} hat die Verbindung verloren und ist nicht zurückgekommen.`,
        session_ended: (name) => `${name} ist nicht mehr da.`,
        partner_offline: (name) => `Während du weg warst, ist ${name} weitergezogen.`,
        away: (name) => `Das Gespräch mit ${name} ist zu Ende gegangen, während du weg warst.`,
        expired: (name) =>
          `Deine Sitzung ist abgelaufen, darum ist auch das Gespräch mit ${name} zu Ende. Du hast eine neue Sitzung.`,
      },
      mayReturn: (name, seconds) =>
        f.plural(seconds, {
          one: `${name} hat „Weiter“ gedrückt und kann # Sekunde lang zurückkommen.`,
          other: `${name} hat „Weiter“ gedrückt und kann # Sekunden lang zurückkommen.`,
        }),
      findNew: 'Jemand Neues finden',
    },
    partner: {
      here: 'Da',
      typing: 'Schreibt\u00a0…',
      away: 'Gerade weg',
      reloaded: 'Hat die Seite neu geladen',
      inCall: 'Im Anruf mit dir',
      unknown: 'Gerade keine Neuigkeiten',
      gone: 'Nicht mehr da',
    },
    composer: {
      label: 'Nachricht',
      placeholder: 'Schreib etwas',
      send: 'Senden',
      keys: 'Enter sendet, Umschalt+Enter beginnt eine neue Zeile, zweimal Escape geht weiter.',
      keysInCall: 'Enter sendet, Umschalt+Enter beginnt eine neue Zeile.',
      count: (count, most) => `${f.number(count)} von ${f.number(most)}`,
      countOver: (least, most) => `Über ${f.number(least)} von ${f.number(most)}`,
      over: 'Die Nachricht ist zu lang zum Senden.',
      cut: 'Der Text war zu lang: Sein Ende wurde weggelassen.',
      held: 'Zu viele Nachrichten auf einmal. Der Rest wird gleich gesendet.',
    },
    attachments: {
      attach: 'Dateien anhängen',
      tray: 'Dateien zum Senden',
      voice: (seconds) => `Sprachnachricht, ${f.clock(seconds)}`,
      waiting: 'Wartet, bis sie dran ist',
      sending: (part) => `Wird gesendet, ${f.percent(part)}`,
      almost: 'Fast fertig\u00a0…',
      remove: (name) => `${name} entfernen`,
      cancel: (name) => `Senden von ${name} abbrechen`,
      retry: 'Noch einmal',
      retryOf: (name) => `${name} noch einmal senden`,
      send: (count) => f.plural(count, { one: 'Datei senden', other: '# Dateien senden' }),
      drop: (name) => `Lass Dateien hier los, um sie ${name} zu schicken`,
      dropHint: 'Du kannst sie noch ansehen, bevor sie rausgehen.',
    },
    consent: {
      region: 'Worum dein Gegenüber bittet',
      asks: {
        links: (name) => `${name} möchte einen Link schicken.`,
        pictures: (name) => `${name} möchte ein Bild schicken.`,
        files: (name) => `${name} möchte eine Datei schicken.`,
        voice: (name) => `${name} möchte eine Sprachnachricht schicken.`,
        audio: (name) => `${name} möchte dich anrufen.`,
        video: (name) => `${name} möchte dich mit Video anrufen.`,
      },
      declined: {
        links: 'Dein Gegenüber möchte gerade keine Links.',
        pictures: 'Dein Gegenüber möchte gerade keine Bilder.',
        files: 'Dein Gegenüber möchte gerade keine Dateien.',
        voice: 'Dein Gegenüber möchte gerade keine Sprachnachrichten.',
      },
      again: (seconds) => `In ${f.about(seconds)} kannst du es noch einmal versuchen.`,
      allow: 'Erlauben',
      notNow: 'Jetzt nicht',
      callWaits: (name) => `${name} wird gefragt, ob du anrufen darfst.`,
      waits: (name) => `${name} wird zuerst gefragt.`,
      show: 'Bild zeigen',
      reveal: (name) => `${name} sehen und hören`,
    },
    file: {
      nameless: 'Datei ohne Namen',
    },
    player: {
      voice: 'Sprachnachricht',
    },
    recorder: {
      record: 'Sprachnachricht aufnehmen',
      hint: 'Antippen zum Aufnehmen, oder halten und zum Senden loslassen',
      keys: 'Escape bricht die Aufnahme ab.',
      trouble: {
        mic_refused:
          'Das Mikrofon ist für diese Seite gesperrt. Erlaub es in den Einstellungen deines Browsers für diese Website und versuch es dann noch einmal.',
        mic_absent: 'Es wurde kein Mikrofon gefunden. Schließ eins an und versuch es noch einmal.',
        mic_in_use:
          'Ein anderes Programm benutzt gerade das Mikrofon. Schließ es und versuch es noch einmal.',
        mic_insecure:
          'Browser erlauben Aufnahmen nur auf sicheren Seiten, und diese wurde ohne https geöffnet.',
        mic_unsupported: 'Dieser Browser kann keine Sprachnachrichten aufnehmen.',
        mic_failed: 'Die Aufnahme hat nicht geklappt. Versuch es noch einmal.',
        part_missing: 'Der Rekorder ließ sich nicht laden. Versuch es gleich noch einmal.',
      },
      dismiss: 'Schließen',
    },
    call: {
      ...kinds,
      calls: (name, kind) => (kind === 'video' ? `${name} ruft an, mit Video` : `${name} ruft an`),
      line: {
        talked: (call, name) => `${kinds[call.kind]} ${who(call, name)} · ${f.clock(call.seconds)}`,
        lost: (call, name) =>
          `${kinds[call.kind]} ${who(call, name)} · nach ${f.clock(call.seconds)} abgebrochen`,
        declined: ({ kind, outgoing }, name) =>
          outgoing
            ? `${name} hat deinen ${kinds[kind]} abgelehnt`
            : `Du hast den ${kinds[kind]} von ${name} abgelehnt`,
        missed: ({ kind }, name) => `Du hast einen ${kinds[kind]} von ${name} verpasst`,
        unanswered: ({ kind }, name) => `${name} hat deinen ${kinds[kind]} nicht angenommen`,
        cancelled: ({ kind }) => `Du hast deinen ${kinds[kind]} abgebrochen`,
        failed: (call, name) => `${kinds[call.kind]} ${who(call, name)} · nicht verbunden`,
      },
    },
    stopped: {
      title: 'Hier ist Pause',
      useHere: 'Hier weitermachen',
      reconnect: 'Neu verbinden',
    },
    codes: {
      invalid_payload: 'Damit konnte der Server nichts anfangen.',
      text_empty: 'Die Nachricht hat keinen sichtbaren Text.',
      text_too_long: ({ textLength }) =>
        `Die Nachricht ist zu lang: Höchstens ${f.number(textLength)} Zeichen sind möglich.`,
      text_control_characters: 'Darin sind Zeichen, die sich nicht senden lassen.',
      not_in_room: 'Du bist in keinem Gespräch.',
      call_active: 'Es läuft schon ein Anruf.',
      call_declined: 'Dein Anruf wurde abgelehnt. Warte ein wenig, bevor du wieder anrufst.',
      no_call: 'Dieser Anruf ist vorbei.',
      no_offer: 'Es gibt keinen Anruf, den du annehmen könntest.',
      too_many_candidates: 'Dieser Anruf hat keine Verbindung gefunden.',
      already_in_room: 'Du bist schon in einem Gespräch.',
      not_searching: 'Es läuft gerade keine Suche.',
      too_many_interests: ({ matching: { interests } }) =>
        f.plural(interests, {
          one: 'Auf einmal lässt sich nur # Interesse suchen.',
          other: 'Auf einmal lassen sich nur # Interessen suchen.',
        }),
      interest_too_long: ({ matching: { interestLength } }) =>
        `Eins deiner Interessen ist zu lang: Höchstens ${f.number(interestLength)} Zeichen sind möglich.`,
      interest_invalid:
        'In einem deiner Interessen sind Zeichen, nach denen sich nicht suchen lässt.',
      interest_repeated: 'Eins deiner Interessen kommt doppelt vor.',
      language_invalid: 'Eine deiner Sprachen kennt der Server nicht.',
      mode_unknown: 'Diese Art, sich zu unterhalten, kennt der Server nicht.',
      wants_invalid: 'Der Server konnte nichts damit anfangen, wen du treffen möchtest.',
      wants_disabled: 'Danach lässt sich hier nicht suchen.',
      house_closed: 'Um diese Zeit kann man hier niemanden treffen. Komm später wieder.',
      consent_declined: 'Dein Gegenüber möchte das gerade nicht.',
      consent_pending: 'Dein Gegenüber wird zuerst gefragt. Warte auf die Antwort.',
      step_closed: 'Das Programm deines Gegenübers kann das nicht empfangen.',
      new_device: 'Dieser Browser ist neu hier und kann das noch nicht senden.',
      message_held: 'Eine Prüfung dieses Ortes hat es zurückgehalten.',
      repeated_message: 'Dasselbe ging schon an mehrere.',
      proof_invalid: 'Die Arbeit deines Browsers wurde nicht angenommen. Versuch es noch einmal.',
      undo_impossible:
        'Es gibt kein Zurück mehr: Dein Gegenüber ist weitergezogen, oder die Zeit war um.',
      rate_limited: 'Das ging ein bisschen schnell. Warte bitte einen Moment.',
      token_required: sessionEnded,
      token_expired: sessionEnded,
      token_invalid: sessionEnded,
      session_not_found: sessionEnded,
      session_ended: sessionEnded,
      replaced:
        'Du hast Passerby in einem anderen Tab oder Fenster geöffnet, und dort geht es weiter.',
      file_not_found: 'Diese Datei hat der Server nicht mehr.',
      not_your_room: 'Du bist in einem anderen Gespräch.',
      link_invalid: 'Dieser Link führt zu keiner Datei aus diesem Gespräch.',
      room_closed: 'Dieses Gespräch ist vorbei.',
      not_found: 'Das hat der Server nicht mehr.',
      method_not_allowed: failed,
      too_large: 'Das ist mehr, als der Server annimmt.',
      unsupported_media_type: failed,
      range_not_satisfiable: failed,
      http_error: failed,
      internal: failed,
      unavailable: 'Das kann der Server gerade nicht. Versuch es gleich noch einmal.',
      already_upgraded: brokenOff,
      backlog_overflow: brokenOff,
      client_disconnect: brokenOff,
      connect_timeout: brokenOff,
      connection_unknown: brokenOff,
      duplicate_poll: brokenOff,
      extension_not_agreed: brokenOff,
      fragments_out_of_order: brokenOff,
      message_too_big: brokenOff,
      outbox_overflow: brokenOff,
      parse_error: brokenOff,
      ping_timeout: brokenOff,
      request_timeout: brokenOff,
      server_disconnect: brokenOff,
      server_error: brokenOff,
      stalled: brokenOff,
      text_not_utf8: brokenOff,
      too_many_packets: brokenOff,
      transport_close: brokenOff,
      transport_error: brokenOff,
      upgrade_not_completed: brokenOff,
      bad_method: misunderstood,
      bad_request: misunderstood,
      protocol_unsupported: misunderstood,
      transport_unknown: misunderstood,
      origin_forbidden: 'Diese Seite darf diesen Server nicht benutzen.',
      server_shutting_down: 'Der Server wird neu gestartet. Versuch es gleich noch einmal.',
    },
    troubles: {
      unreachable: 'Der Server ist gerade nicht zu erreichen. Versuch es gleich noch einmal.',
      unexpected: 'Etwas hat nicht geklappt. Versuch es gleich noch einmal.',
      too_many_files: ({ filesPerMessage }) =>
        f.plural(filesPerMessage, {
          one: 'Das war viel auf einmal: Nur die erste Datei wurde übernommen.',
          other: 'Das war viel auf einmal: Nur die ersten # Dateien wurden übernommen.',
        }),
      file_unreadable:
        'Diese Datei ist nicht mehr lesbar: Sie wurde nach dem Auswählen verschoben, geändert oder gelöscht.',
      part_missing:
        'Dieser Teil der Seite ließ sich nicht laden. Wenn deine Verbindung in Ordnung ist, lade die Seite neu.',
      session_anew:
        'Deine frühere Sitzung war abgelaufen, darum hast du eine neue. Alles geht wie zuvor.',
    },
    news: {
      matched: (name) => `Du sprichst mit ${name}.`,
      message: (name) => `${name} hat dir geschrieben.`,
      asked: (name) => `${name} fragt, ob du etwas erlaubst.`,
      ended: (name) => `Das Gespräch mit ${name} ist vorbei.`,
    },
    sound: 'Töne, wenn du woanders bist',
    part: {
      again: 'Seite neu laden',
    },
    title: {
      plain: 'Passerby',
      unread: (count) => `(${f.number(count)}) Passerby`,
      ringing: (calls) => `${calls} · Passerby`,
      matched: (name) => `${name} ist da · Passerby`,
      asked: (name) => `${name} fragt dich etwas · Passerby`,
      ended: 'Gespräch vorbei · Passerby',
    },
  };
};

export default german;
