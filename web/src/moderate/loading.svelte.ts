/** Something that is asked of the server, and perhaps asked again. */
export class Loading<T> {
  value = $state.raw<T | null>(null);
  error = $state.raw<unknown>(null);
  private turn = 0;

  constructor(private readonly load: () => Promise<T>) {
    void this.again();
  }

  again = async (): Promise<void> => {
    const turn = ++this.turn;
    try {
      const value = await this.load();
      if (turn !== this.turn) return;
      this.value = value;
      this.error = null;
    } catch (error) {
      if (turn === this.turn) this.error = error;
    }
  };
}
