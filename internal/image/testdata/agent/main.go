// Agent takes the place of ha-agent in a toy image. It prints a line, and exits with the status that it was built with.
package main

import (
	"fmt"
	"os"
	"strconv"
)

var status string

func main() {
	fmt.Println("NOT sound")
	code, err := strconv.Atoi(status)
	if err != nil {
		panic(err)
	}
	os.Exit(code)
}
