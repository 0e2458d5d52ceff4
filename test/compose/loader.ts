import { fileURLToPath } from 'node:url';
import { runTool } from '../../infra/setup/run-tool.ts';

const loader = 'github.com/compose-spec/compose-go/v2/cmd@v2.16.2';
const folder = fileURLToPath(new URL('../../infra/compose', import.meta.url));

/** Reads the compose files by the Go library that Docker Compose itself reads them with; variables are left as they are. */
export async function loadCompose(...files: string[]): Promise<readonly string[]> {
  const args = ['run', loader, '--no-interpolation', '--format', 'json', ...files];
  const project = JSON.parse(await runTool('go', args, { cwd: folder, install: 'install Go 1.25 or newer' }));
  return Object.keys(project.services);
}
