"""How clients reach the server: stdin and stdout, or HTTP; and over HTTP, who may come in."""
