// The one connection: server-sent events, each a document of /api/state's shape.

const RETRY_MILLISECONDS = 1000;

/** Follow the fleet: `onDocument(document)` for each event, `onState(word)` for the connection. */
export function follow(onDocument, onState) {
  const source = new EventSource("/api/events");
  source.onopen = () => onState("live");
  source.onmessage = (event) => onDocument(JSON.parse(event.data));
  source.onerror = () => {
    onState("lost");
    // A refused connection closes for good: begin anew, with everything.
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(() => follow(onDocument, onState), RETRY_MILLISECONDS);
    }
  };
}
