// The peer go: docs/peer-contract.md over TCP, for the servers of server.go.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
)

func main() {
	listen := flag.String("listen", "", "`HOST:PORT` for control connections")
	withStdin := flag.Bool("exit-with-stdin", false, "end when stdin does")
	printSources := flag.Bool("sources", false, "print the digests of the modules' sources, for the build")
	flag.Parse()
	if *printSources {
		fmt.Print(moduleSources())
		return
	}
	if *withStdin {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
	}
	control, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	host, _, _ := net.SplitHostPort(*listen) // as it was named: 0.0.0.0 would become [::]
	fmt.Println("READY", host, control.Addr().(*net.TCPAddr).Port)
	for {
		conn, err := control.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go newSession(conn, host).run()
	}
}
