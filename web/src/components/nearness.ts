/** Which parts of a list are near to what is in view: those are shown in full, and no frame waits for many of them. */

/** How far beyond the view a part is still near: in heights of the view. */
const MARGIN = '150%';
/** A frame has 16 ms, and other things to do. */
const BUDGET_MS = 2;

interface Watched {
  tell: (near: boolean) => void;
  near: boolean;
}

export class Nearness {
  readonly #root: HTMLElement;
  readonly #observer: IntersectionObserver;
  readonly #watched = new Map<Element, Watched>();
  readonly #waiting = new Set<Element>();
  #frame: number | undefined;

  constructor(root: HTMLElement) {
    this.#root = root;
    this.#observer = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          const watched = this.#watched.get(target);
          if (!watched) continue;
          watched.near = isIntersecting;
          this.#waiting.add(target);
        }
        this.#plan();
      },
      { root, rootMargin: `${MARGIN} 0px` },
    );
  }

  /** `tell` is told when `element` comes near, and when it is far. */
  watch(element: Element, tell: (near: boolean) => void): () => void {
    this.#watched.set(element, { tell, near: true });
    this.#observer.observe(element);
    return () => {
      this.#observer.unobserve(element);
      this.#watched.delete(element);
      this.#waiting.delete(element);
    };
  }

  stop(): void {
    this.#observer.disconnect();
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
  }

  /** At the beginning of a frame, which is laid out afterwards: observers are told after that, and it would be twice. */
  #plan(): void {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      this.#work();
    });
  }

  #work(): void {
    const until = performance.now() + BUDGET_MS;
    for (const element of this.#inOrder()) {
      const watched = this.#watched.get(element);
      // What is selected is not exchanged under the hand; it waits for its turn.
      if (watched?.near === false && isSelected(element)) continue;
      this.#waiting.delete(element);
      if (watched) this.#change(element, watched);
      if (performance.now() >= until) {
        this.#plan();
        return;
      }
    }
  }

  /** What is near comes first, and of that what is nearest. */
  #inOrder(): Element[] {
    if (this.#waiting.size < 2) return [...this.#waiting];
    const { top, height } = this.#root.getBoundingClientRect();
    const middle = top + height / 2;
    const distance = (element: Element): number => {
      const box = element.getBoundingClientRect();
      return Math.max(box.top - middle, middle - box.bottom);
    };
    return [...this.#waiting]
      .map((element) => ({ element, at: distance(element) }))
      .sort((a, b) => a.at - b.at)
      .map(({ element }) => element);
  }

  #change(element: Element, { tell, near }: Watched): void {
    // Elsewhere the browser itself keeps in place what is being read.
    const anchors = CSS.supports('overflow-anchor', 'auto');
    const before = anchors ? null : element.getBoundingClientRect();
    tell(near);
    if (before && before.bottom <= this.#root.getBoundingClientRect().top)
      this.#root.scrollTop += element.getBoundingClientRect().height - before.height;
  }
}

function isSelected(element: Element): boolean {
  const selection = document.getSelection();
  return selection?.isCollapsed === false && selection.containsNode(element, true);
}
