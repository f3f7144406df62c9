import type { Content } from '../../../services/content.js';

/**
 * Content behind an object of this node. It is dead once: by its revocation, its end or the node's new life. Then transfers under way are cut, and
 * it is disposed of when the last of them has let go.
 */
export class KeptContent {
  readonly content: Content;
  readonly #release: () => void;
  readonly #transfers = new Set<() => void>();
  #isDead = false;

  /** `release` is called once, when it is dead and nobody uses the content any more: then the content has to be disposed of. */
  constructor(content: Content, release: () => void) {
    this.content = content;
    this.#release = release;
  }

  get sizeBytes(): number {
    return this.content.sizeBytes;
  }

  get isLive(): boolean {
    return !this.#isDead;
  }

  /** The object table says that the object is dead. Idempotent. */
  readonly onDead = (): void => {
    if (this.#isDead) return;
    this.#isDead = true;
    if (this.#transfers.size === 0) this.#release();
    else for (const cut of [...this.#transfers]) cut();
  };

  /** Keeps the content for a transfer, until the returned function is called. `cut` is called if it is dead before: let go soon. */
  hold(cut: () => void): () => void {
    this.#transfers.add(cut);
    return () => {
      if (this.#transfers.delete(cut) && this.#isDead && this.#transfers.size === 0)
        this.#release();
    };
  }
}
