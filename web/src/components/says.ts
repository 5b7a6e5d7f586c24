import type { Attachment } from 'svelte/attachments';

function untranslated(name: string): HTMLElement {
  const element = document.createElement('span');
  element.translate = false;
  element.textContent = name;
  return element;
}

/**
 * Keep `text` in the element, for every text that changes while the element stays. A browser that translates the page
 * puts elements of its own in the place of text nodes: what is written to those later, nobody sees, and the text stands
 * still for ever. `name`, wherever it is in the text, is not translated.
 */
export function says(text: string, name = ''): Attachment {
  return (element) => {
    const [first = '', ...others] = name === '' ? [text] : text.split(name);
    element.replaceChildren(first, ...others.flatMap((part) => [untranslated(name), part]));
  };
}
