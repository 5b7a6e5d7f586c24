/** The components that are loaded when they are needed. Those with words of `laterWords` come with them. */
import { speakLater } from '../words/spoken.svelte';

async function withWords<T>(code: Promise<T>): Promise<T> {
  const [component] = await Promise.all([code, speakLater()]);
  return component;
}

export const loadOutside = (): Promise<typeof import('./Outside.svelte')> =>
  import('./Outside.svelte');

export const loadConversation = (): Promise<typeof import('./Conversation.svelte')> =>
  import('./Conversation.svelte');

export const loadCallArea = (): Promise<typeof import('./call/CallArea.svelte')> =>
  withWords(import('./call/CallArea.svelte'));

export const loadAttachmentRow = (): Promise<typeof import('./AttachmentRow.svelte')> =>
  withWords(import('./AttachmentRow.svelte'));

export const loadFileContent = (): Promise<typeof import('./FileContent.svelte')> =>
  withWords(import('./FileContent.svelte'));

export const loadFullView = (): Promise<typeof import('./FullView.svelte')> =>
  withWords(import('./FullView.svelte'));

export const loadLinkStep = (): Promise<typeof import('./LinkStep.svelte')> =>
  withWords(import('./LinkStep.svelte'));

export const loadRecordingBar = (): Promise<typeof import('./RecordingBar.svelte')> =>
  withWords(import('./RecordingBar.svelte'));

export const loadAllowances = (): Promise<typeof import('./Allowances.svelte')> =>
  withWords(import('./Allowances.svelte'));

export const loadOver = (): Promise<typeof import('./Over.svelte')> =>
  withWords(import('./Over.svelte'));

export const loadDoor = (): Promise<typeof import('./Door.svelte')> =>
  withWords(import('./Door.svelte'));

export const loadFoot = (): Promise<typeof import('./Foot.svelte')> =>
  withWords(import('./Foot.svelte'));

export const loadStopping = (): Promise<typeof import('./Stopping.svelte')> =>
  withWords(import('./Stopping.svelte'));
