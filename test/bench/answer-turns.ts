import { createInterface } from 'node:readline';
import { forgetPeak, memoryOf } from './memory.ts';

/** What a process of steps has to say of itself. */
interface Beginning {
  readonly warmUp: number;
  /** Resident bytes before the model was made. */
  readonly base: number | null;
  /** When making it began, by `performance.now`. */
  readonly began: number;
  readonly version: string;
}

/** Warms up, and then makes as many steps as each line of stdin asks for, as line-process.ts says; ends the process. */
export async function answerTurns(step: () => number, { warmUp, base, began, version }: Beginning): Promise<never> {
  const say = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`);
  let count = 0;
  const next = () => {
    const loss = step();
    count++;
    if (!Number.isFinite(loss)) throw new Error(`the loss of step ${count} is ${loss}`);
    return loss;
  };
  const losses = Array.from({ length: warmUp }, next);
  const warmUpMs = performance.now() - began;
  const peakBefore = memoryOf('VmHWM');
  const forgot = forgetPeak();
  say({ ready: true, losses, warmUpMs, base, peak: peakBefore, version });
  for await (const line of createInterface({ input: process.stdin })) {
    const ms: number[] = [];
    const cpuMs: number[] = [];
    const turnLosses: number[] = [];
    for (let i = 0; i < Number(line); i++) {
      const [start, cpuStart] = [performance.now(), process.cpuUsage()];
      turnLosses.push(next());
      ms.push(performance.now() - start);
      const { user, system } = process.cpuUsage(cpuStart);
      cpuMs.push((user + system) / 1000);
    }
    const peak = memoryOf('VmHWM');
    say({
      ms,
      cpuMs,
      losses: turnLosses,
      peak: peak && Math.max(peak, peakBefore ?? 0),
      stepsPeak: forgot ? peak : null,
    });
  }
  process.exit(0);
}
