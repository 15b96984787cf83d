/* Copies the text beside each button. Without this script, or a clipboard, the buttons stay hidden. */
for (const button of document.querySelectorAll(".copy button")) {
  const [before, text] = [button.textContent, button.parentElement.querySelector("code").textContent];
  button.hidden = !navigator.clipboard;
  button.onclick = async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = button.dataset.done;
    setTimeout(() => (button.textContent = before), 3000);
  };
}
