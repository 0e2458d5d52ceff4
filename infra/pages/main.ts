import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { madeParts, pageFile, renderPage } from './pages.ts';

new Command('npm run pages --')
  .description('Writes the tables in the README pages anew from the code. A test proves that they are current.')
  .action(() => {
    for (const page of Object.keys(madeParts)) writeFileSync(pageFile(page), renderPage(page));
  })
  .parse();
