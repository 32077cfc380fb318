"""Takes a picture of the page with an answer, in headless Chromium.

    bin/serve.py --model_config_file=models.config --rest_api_port=8501 --web_page
    python tests/serving/page_screenshot.py --url=http://127.0.0.1:8501/ --model=entities \\
        --text='Ada Lovelace met Charles Babbage in London.' --output=entities.png
    python tests/serving/page_screenshot.py --url=http://127.0.0.1:8501/ --model=questions \\
        --question='Who wrote it?' --context='It was written by Ada Lovelace.' --output=answer.png

Needs Debian's chromium and chromium-driver and the Python package selenium.
"""

from __future__ import annotations

import argparse
import shutil
import sys

_INPUTS = ("text", "text_a", "text_b", "question", "context")
_MARGIN = 24  # pixels below the answer


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--output", required=True, help=".png")
    parser.add_argument("--width", type=int, default=800)
    for name in _INPUTS:
        parser.add_argument(f"--{name}")
    flags = parser.parse_args(argv)
    texts = {name: getattr(flags, name) for name in _INPUTS if getattr(flags, name) is not None}
    with open_browser(width=flags.width) as browser:
        ask(browser, flags.url, flags.model, texts)
        error = browser.execute_script("return document.querySelector('.error')?.textContent")
        if error:
            sys.exit(f"The server refused: {error}")
        height = browser.execute_script("return document.documentElement.scrollHeight")
        browser.set_window_size(flags.width, height + _MARGIN)
        browser.find_element("tag name", "body").screenshot(flags.output)
    print(f"Wrote {flags.output}")


def open_browser(*, width: int, height: int = 900):
    """Headless Chromium; the caller closes it, as a context manager or by `quit`."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--force-device-scale-factor=2",
        f"--window-size={width},{height}",
    ):
        options.add_argument(argument)
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))
    )
    driver.implicitly_wait(20)
    return driver


def ask(browser, url: str, model: str, texts) -> None:
    """Chooses the model, types the texts, asks and waits for the answer."""
    browser.get(url)
    browser.find_element("css selector", f"option[value='{model}']").click()
    for name, text in texts.items():
        browser.find_element("id", f"in-{name}").send_keys(text)
    browser.find_element("id", "ask").click()
    browser.find_element("css selector", "#answer summary, #answer .error")


if __name__ == "__main__":
    main(sys.argv[1:])
