import { Title } from '@mantine/core';
import { TEMPLATES } from './templates';

/** Workflows to begin with. */
export function Gallery({ isFirst, onChoose }: { isFirst: boolean; onChoose: (text: string) => void }) {
  return (
    <section className="gallery" aria-label="Templates">
      {!isFirst && <Title order={2}>Begin with a template</Title>}
      <div className="gallery-cards">
        {TEMPLATES.map((template) => (
          <button
            key={template.name}
            type="button"
            className="gallery-card"
            onClick={() => void template.text().then(onChoose)}
          >
            <strong>{template.title}</strong>
            <span>{template.about}</span>
          </button>
        ))}
      </div>
    </section>
  );
}
