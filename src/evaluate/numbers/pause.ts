/** Called every few million products: who owns the process may let messages through. Changes no figure. */
export type Pause = () => Promise<void>;
