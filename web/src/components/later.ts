/** The components that are loaded when they are needed. */

export const loadOutside = (): Promise<typeof import('./Outside.svelte')> =>
  import('./Outside.svelte');

export const loadConversation = (): Promise<typeof import('./Conversation.svelte')> =>
  import('./Conversation.svelte');

export const loadCallArea = (): Promise<typeof import('./call/CallArea.svelte')> =>
  import('./call/CallArea.svelte');

export const loadAttachmentRow = (): Promise<typeof import('./AttachmentRow.svelte')> =>
  import('./AttachmentRow.svelte');

export const loadFileContent = (): Promise<typeof import('./FileContent.svelte')> =>
  import('./FileContent.svelte');

export const loadFullView = (): Promise<typeof import('./FullView.svelte')> =>
  import('./FullView.svelte');

export const loadLinkStep = (): Promise<typeof import('./LinkStep.svelte')> =>
  import('./LinkStep.svelte');

export const loadRecordingBar = (): Promise<typeof import('./RecordingBar.svelte')> =>
  import('./RecordingBar.svelte');
